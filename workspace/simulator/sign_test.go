package simulator

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
)

// The sample of API Gateway's page "AK/SK Signing and Authentication Algorithm". Its key is not a live one.
func TestPublishedSignature(t *testing.T) {
	r, err := http.NewRequestWithContext(t.Context(), "GET", "https://service.region.example.com/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs?limit=2&marker=13551d6b-755d-4757-b956-536f674975c0", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Sdk-Date", "20191115T033655Z")
	signed := []string{"content-type", "host", "x-sdk-date"}
	sum := sha256.Sum256([]byte(canonicalRequest(r, nil, signed)))
	eq(t, "canonical request", hex.EncodeToString(sum[:]), "b25362e603ee30f4f25e7858e8a7160fd36e803bb2dfe206278659d71a9bcd7a")
	eq(t, "signature", signature(r, nil, signed, "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc"), "7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe")
}

func TestCanonicalParts(t *testing.T) {
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://h/a%2Fb/c%20d/~x?b=2&b=1&a-b=x&a=%C3%BC+%2B%20/&e", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	eq(t, "path", canonicalPath(r.URL), "/a%2Fb/c%20d/~x/")
	eq(t, "query", canonicalQuery(r.URL.RawQuery), "a=%C3%BC%20%2B%20%2F&a-b=x&b=1&b=2&e=")
	r.Header["X-Many"] = []string{"b ", "a"}
	r.Header["X-Sdk-Content-Sha256"] = []string{"UNSIGNED-PAYLOAD"}
	eq(t, "request", canonicalRequest(r, []byte("body"), []string{"x-many", "host", "x-absent"}),
		"GET\n/a%2Fb/c%20d/~x/\na=%C3%BC%20%2B%20%2F&a-b=x&b=1&b=2&e=\nhost:h\nx-many:a\nx-many:b\n\nhost;x-absent;x-many\nUNSIGNED-PAYLOAD")
}

// signed is a request signed by the client itself over the given headers.
func (l *lab) signed(key Key, method, path, body string, headers ...string) *http.Request {
	req := l.request(method, path, body)
	req.Header.Set("X-Sdk-Date", l.clock.Now().UTC().Format(dateForm))
	req.Header.Set("User-Agent", "test")
	if key.SecurityToken != "" {
		req.Header.Set("X-Security-Token", key.SecurityToken)
	}
	l.sign(req, key, body, headers...)
	return req
}

func (l *lab) sign(req *http.Request, key Key, body string, headers ...string) {
	req.Host = req.URL.Host
	req.Header.Set("Authorization", "SDK-HMAC-SHA256 Access="+key.AccessKey+", SignedHeaders="+strings.Join(headers, ";")+
		", Signature="+signature(req, []byte(body), headers, key.SecretKey))
}

func TestSignedRequests(t *testing.T) {
	l := open(t, Options{})
	permanent, temporary := DemoAccount().Keys[0], DemoAccount().Keys[1]
	body := `{"name":"n","type":"SHELL","content":"echo 你好"}`
	for _, headers := range [][]string{
		{"x-sdk-date"}, {"host", "x-sdk-date"}, {"content-type", "host", "user-agent", "x-sdk-date"}, {"x-absent", "x-sdk-date"},
	} {
		for _, key := range []Key{permanent, temporary} {
			r, err := l.send(l.signed(key, "POST", "scripts", body, headers...))
			if err != nil {
				t.Fatal(err)
			}
			r.want(t, 200)
		}
	}
	r, err := l.send(l.signed(permanent, "GET", "scripts?name=disk+us%61ge&limit=5&offset=0", "", "host", "x-sdk-date"))
	if err != nil {
		t.Fatal(err)
	}
	r.want(t, 200)
	eq(t, "access key", l.Requests()[0].AccessKey, permanent.AccessKey)
	eq(t, "Date", r.header.Get("Date"), "Sat, 21 Nov 2026 04:00:00 GMT")
}

func TestRefusedSignatures(t *testing.T) {
	o := Options{Account: DemoAccount()}
	o.Account.Keys[1].Expires = fakecloudtest.Noon.Add(time.Hour)
	l := open(t, o)
	key, temporary := o.Account.Keys[0], o.Account.Keys[1]
	with := func(k Key, change func(*Key)) Key { change(&k); return k }
	plain := func(k Key) *http.Request { return l.signed(k, "GET", "scripts?limit=1", "", "host", "x-sdk-date") }
	changed := func(change func(*http.Request)) *http.Request {
		r := plain(key)
		change(r)
		return r
	}
	dated := func(shift time.Duration) *http.Request {
		return changed(func(r *http.Request) {
			r.Header.Set("X-Sdk-Date", fakecloudtest.Noon.Add(shift).Format(dateForm))
			l.sign(r, key, "", "x-sdk-date")
		})
	}
	for name, c := range map[string]struct {
		req    *http.Request
		status int
		code   string
	}{
		"nothing":        {l.request("GET", "scripts", ""), 401, codeSignature},
		"wrong secret":   {plain(with(key, func(k *Key) { k.SecretKey += "x" })), 401, codeSignature},
		"unknown key":    {plain(with(key, func(k *Key) { k.AccessKey = "NOBODY" })), 401, codeSignature},
		"token missing":  {plain(with(temporary, func(k *Key) { k.SecurityToken = "" })), 401, codeSignature},
		"token wrong":    {plain(with(temporary, func(k *Key) { k.SecurityToken = "x" })), 401, codeSignature},
		"token too much": {plain(with(key, func(k *Key) { k.SecurityToken = "x" })), 401, codeSignature},
		"other query":    {changed(func(r *http.Request) { r.URL.RawQuery = "limit=2" }), 401, codeSignature},
		"other method":   {changed(func(r *http.Request) { r.Method = "DELETE"; r.URL.Path += "/1" }), 401, codeSignature},
		"algorithm":      {changed(func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }), 401, codeSignature},
		"incomplete":     {changed(func(r *http.Request) { r.Header.Set("Authorization", "SDK-HMAC-SHA256 Access=a, Signature=b") }), 401, codeSignature},
		"no date":        {changed(func(r *http.Request) { r.Header.Del("X-Sdk-Date") }), 401, codeTimestamp},
		"bad date":       {changed(func(r *http.Request) { r.Header.Set("X-Sdk-Date", "2026-11-21T04:00:00Z") }), 401, codeTimestamp},
		"unsigned":       {l.signed(key, "GET", "scripts", "", "host"), 401, codeTimestamp},
		"late":           {dated(-15*time.Minute - time.Second), 401, codeTimestamp},
		"early":          {dated(15*time.Minute + time.Second), 401, codeTimestamp},
		"just late":      {dated(-15 * time.Minute), 200, ""},
		"just early":     {dated(15 * time.Minute), 200, ""},
		"temporary":      {plain(temporary), 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := l.send(c.req)
			if err != nil {
				t.Fatal(err)
			}
			if c.code == "" {
				r.want(t, c.status)
			} else {
				r.wantError(t, c.status, c.code)
			}
		})
	}
	body := l.signed(key, "POST", "scripts", `{"name":"a"}`, "x-sdk-date")
	other := l.request("POST", "scripts", `{"name":"b"}`)
	other.Header = body.Header
	r, err := l.send(other)
	if err != nil {
		t.Fatal(err)
	}
	r.wantError(t, 401, codeSignature)

	l.clock.Advance(time.Hour)
	if r, err = l.send(l.signed(temporary, "GET", "scripts", "", "x-sdk-date")); err != nil {
		t.Fatal(err)
	}
	r.wantError(t, 401, codeSignature)
}

func TestTokens(t *testing.T) {
	l := open(t, Options{})
	l.do("GET", "scripts", "").want(t, 200)
	l.token = "MIInothing"
	l.do("GET", "scripts", "").wantError(t, 401, codeToken)
	l.token = l.Token()
	l.clock.Advance(24*time.Hour - time.Second)
	l.do("GET", "scripts", "").want(t, 200)
	l.clock.Advance(time.Second)
	l.do("GET", "scripts", "").wantError(t, 401, codeToken)
}

func TestProjects(t *testing.T) {
	o := Options{Account: DemoAccount()}
	o.Account.Projects = append(o.Account.Projects, Project{"p2", "cn-east-3"}, Project{"p3", "cn-east-3"})
	l := open(t, o)
	l.do("GET", "/v2/p2/scripts", "").wantError(t, 403, codeForbidden)
	l.do("GET", "/v2/nobody/scripts", "").wantError(t, 403, codeForbidden)
	type projects struct{ Projects []projectJSON }
	for name, want := range map[string]int{"?name=cn-north-4": 1, "?name=cn-east-3": 2, "?name=cn": 0, "": 3} {
		r := l.do("GET", "/v3/projects"+name, "").want(t, 200)
		got := into[projects](t, r)
		eq(t, name, len(got.Projects), want)
		if r.header.Get("X-IAM-Trace-Id") == "" {
			t.Error("no X-IAM-Trace-Id")
		}
		if want == 1 {
			eq(t, "id", got.Projects[0].ID, l.ProjectID())
		}
	}
	l.token = "x"
	r := l.do("GET", "/v3/projects", "").want(t, 401)
	eq(t, "error", r.raw, `{"error":{"code":401,"message":"The token must be updated","title":"Unauthorized"}}`)
}

func TestCreateToken(t *testing.T) {
	l := open(t, Options{})
	login := func(change func(map[string]any)) result {
		body := map[string]any{"name": "demo", "password": "DemoPasswordThatOpensNothing", "domain": "demo-account", "project": "cn-north-4", "method": "password"}
		change(body)
		text := fmt.Sprintf(`{"auth":{"identity":{"methods":[%q],"password":{"user":{"name":%q,"password":%q,"domain":{"name":%q}}}},"scope":{"project":{"name":%q}}}}`,
			body["method"], body["name"], body["password"], body["domain"], body["project"])
		r, err := l.send(l.request("POST", "/v3/auth/tokens?nocatalog=true", text))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := login(func(map[string]any) {}).want(t, 201)
	token := into[struct {
		Token struct {
			ExpiresAt string `json:"expires_at"`
			Project   struct{ ID, Name string }
		}
	}](t, r).Token
	eq(t, "token", token.Project.ID+" "+token.ExpiresAt, l.ProjectID()+" 2026-11-22T04:00:00.000000Z")
	l.token = r.header.Get("X-Subject-Token")
	l.do("GET", "desktops", "").want(t, 200)
	l.clock.Advance(24 * time.Hour)
	l.do("GET", "desktops", "").wantError(t, 401, codeToken)

	for member, status := range map[string]int{"name": 401, "password": 401, "domain": 401, "project": 400, "method": 400} {
		r := login(func(body map[string]any) { body[member] = "other" }).want(t, status)
		eq(t, member, into[map[string]map[string]any](t, r)["error"]["code"], any(float64(status)))
		eq(t, "token without a login", r.header.Get("X-Subject-Token"), "")
	}
	account := DemoAccount()
	account.Password = ""
	l = open(t, Options{Account: account})
	login(func(body map[string]any) { body["password"] = "" }).want(t, 401)
}
