package scnet

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lenient"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

func jwt(claims string) Secret {
	return NewSecret("e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".sig")
}

func TestClaims(t *testing.T) {
	now := time.UnixMilli(1_790_000_000_000)
	for name, c := range map[string]struct {
		raw     Secret
		expires int64 // Unix milliseconds, 0 when not known
		renewIn time.Duration
	}{
		"string":       {jwt(`{"expireTime":"1790003600000","clusterId":"11250"}`), 1_790_003_600_000, 55 * time.Minute},
		"number":       {jwt(`{"expireTime":1790003600000}`), 1_790_003_600_000, 55 * time.Minute},
		"short life":   {jwt(`{"expireTime":"1790000100000"}`), 1_790_000_100_000, 80 * time.Second},
		"expired":      {jwt(`{"expireTime":"1789999990000"}`), 1_789_999_990_000, -10 * time.Second},
		"absent":       {jwt(`{}`), 0, assumedLifetime},
		"null":         {jwt(`{"expireTime":null}`), 0, assumedLifetime},
		"word":         {jwt(`{"expireTime":"never"}`), 0, assumedLifetime},
		"object":       {jwt(`{"expireTime":{}}`), 0, assumedLifetime},
		"array":        {jwt(`[]`), 0, assumedLifetime},
		"not base64":   {NewSecret("a.!.c"), 0, assumedLifetime},
		"padded":       {NewSecret("e30." + base64.URLEncoding.EncodeToString([]byte(`{"expireTime":"1790003600000"}`)) + ".x"), 1_790_003_600_000, 55 * time.Minute},
		"not a jwt":    {NewSecret("opaque"), 0, assumedLifetime},
		"two parts":    {NewSecret("e30.e30"), 0, assumedLifetime},
		"empty middle": {NewSecret("a..c"), 0, assumedLifetime},
	} {
		got := newToken(c.raw, now)
		if (c.expires == 0) != got.expires.IsZero() || c.expires != 0 && got.expires.UnixMilli() != c.expires {
			t.Errorf("%s: expires %v, want %d", name, got.expires, c.expires)
		}
		if in := got.renewAt.Sub(now); in != c.renewIn {
			t.Errorf("%s: renewed in %s, want %s", name, in, c.renewIn)
		}
	}
}

func TestIssuedTokenIsNotTakenForExpired(t *testing.T) {
	now := time.UnixMilli(1_790_000_000_000)
	got := issued(jwt(`{"expireTime":"1790003600"}`), now) // seconds
	if !got.expires.IsZero() || got.renewAt.Sub(now) != assumedLifetime {
		t.Errorf("expires %v, renewed at %v", got.expires, got.renewAt)
	}
}

func TestServiceBase(t *testing.T) {
	for raw, want := range map[string]string{
		"https://ai01.example:65011":        "https://ai01.example:65011",
		"https://ai01.example:65011/":       "https://ai01.example:65011",
		"https://ai01.example:65011/ai":     "https://ai01.example:65011",
		"https://ai01.example:65011/ai/":    "https://ai01.example:65011",
		" https://ai01.example/ai// ":       "https://ai01.example",
		"https://ai01.example/gate/ai":      "https://ai01.example/gate",
		"https://ai01.example/gate":         "https://ai01.example/gate",
		"https://ai01.example/openai":       "https://ai01.example/openai",
		"https://ai01.example/ai?x=1":       "https://ai01.example",
		"https://[2001:db8::1]:65011/ai":    "https://[2001:db8::1]:65011",
		"http://127.0.0.1:9/ai":             "http://127.0.0.1:9",
		"http://ai01.example/ai":            "",
		"ai01.example/ai":                   "",
		"":                                  "",
		"https://user:pass@ai01.example/ai": "",
		"{hpcUrls}/ai":                      "",
	} {
		got, err := serviceBase(raw, "/ai")
		if got != want || (err == nil) != (want != "") {
			t.Errorf("serviceBase(%q) = %q, %v; want %q", raw, got, err, want)
		}
	}
}

func TestRoughly(t *testing.T) {
	for d, want := range map[time.Duration]string{
		72 * time.Hour: "3 days", 47 * time.Hour: "47 hours", 119 * time.Minute: "119 minutes", 5 * time.Minute: "5 minutes",
		90 * time.Second: "90 seconds", 500 * time.Millisecond: "a moment",
	} {
		if got := roughly(d); got != want {
			t.Errorf("roughly(%s) = %q, want %q", d, got, want)
		}
	}
}

func TestLenientTypes(t *testing.T) {
	for raw, want := range map[string]struct {
		text   text
		number number
		truth  truth
		list   int
	}{
		`"7"`:      {"7", 7, false, 0},
		`7`:        {"7", 7, false, 0},
		`" 7 "`:    {" 7 ", 7, false, 0},
		`7.9`:      {"7.9", 7, false, 0},
		`-3`:       {"-3", -3, false, 0},
		`1e3`:      {"1e3", 1000, false, 0},
		`1e300`:    {"1e300", 0, false, 0},
		`"NaN"`:    {"NaN", 0, false, 0},
		`true`:     {"true", 0, true, 0},
		`"TRUE"`:   {"TRUE", 0, true, 0},
		`1`:        {"1", 1, true, 0},
		`"false"`:  {"false", 0, false, 0},
		`null`:     {"", 0, false, 0},
		`""`:       {"", 0, false, 0},
		`{"a":1}`:  {"", 0, false, 0},
		`[1,"2"]`:  {"", 0, false, 2},
		`[null,3]`: {"", 0, false, 1},
		`"字"`:      {"字", 0, false, 0},
	} {
		var got struct {
			T text       `json:"t"`
			N number     `json:"n"`
			B truth      `json:"b"`
			L list[text] `json:"l"`
		}
		if err := lenient.Unmarshal([]byte(strings.ReplaceAll(`{"t":X,"n":X,"b":X,"l":X}`, "X", raw)), &got); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
		if got.T != want.text || got.N != want.number || got.B != want.truth || len(got.L) != want.list {
			t.Errorf("%s decodes to %+v, want %+v", raw, got, want)
		}
	}
}

func TestStaleCallersDoNotReplaceAFreshSession(t *testing.T) {
	const nobody = "http://127.0.0.1:1" // a request would fail
	c, err := New(Config{User: "demo", AccessKey: NewSecret("k"), SecretKey: NewSecret("s"), LoginURL: nobody})
	if err != nil {
		t.Fatal(err)
	}
	r := &Region{ID: "11250", client: c}
	old := newToken(NewSecret("token"), time.Now())
	fresh := c.keep(&session{obtained: time.Now(), regions: []*Region{r}, tokens: map[string]token{r.ID: newToken(NewSecret("token"), time.Now())}})
	c.discard(r, old)
	if got, err := c.relogin(t.Context(), &session{}); got != fresh || err != nil {
		t.Errorf("relogin = %v, %v", got, err)
	}
	c.discard(r, fresh.tokens[r.ID])
	if c.session != nil {
		t.Error("the refused token is kept")
	}

	c, err = New(Config{Token: NewSecret("token"), AIURL: nobody, PlatformURL: nobody})
	if err != nil {
		t.Fatal(err)
	}
	renewed := newToken(NewSecret("renewed"), time.Now())
	c.keep(&session{obtained: time.Now(), regions: []*Region{r}, tokens: map[string]token{r.ID: renewed}})
	c.discard(r, old)
	if got, err := c.renew(t.Context(), r, old); got != renewed || err != nil {
		t.Errorf("renew = %+v, %v", got, err)
	}
}

func FuzzClaims(f *testing.F) {
	f.Add("e30.eyJleHBpcmVUaW1lIjoiMTc5MDAwMzYwMDAwMCJ9.x")
	f.Add("..")
	f.Add("a.b.c")
	now := time.UnixMilli(1_790_000_000_000)
	f.Fuzz(func(t *testing.T, raw string) {
		got := newToken(NewSecret(raw), now)
		if !got.expires.IsZero() && got.renewAt.After(got.expires) {
			t.Errorf("%q is renewed at %v, after its expiry %v", raw, got.renewAt, got.expires)
		}
		if fresh := issued(NewSecret(raw), now); !fresh.renewAt.After(now) {
			t.Errorf("%q, just issued, is due at %v", raw, fresh.renewAt)
		}
	})
}

func FuzzServiceBase(f *testing.F) {
	f.Add("https://ai01.example:65011/ai")
	f.Add("http://127.0.0.1:9/ai/ai/")
	f.Add("https://h/%2Fai?x#y")
	f.Fuzz(func(t *testing.T, raw string) {
		base, err := serviceBase(raw, "/ai")
		if err != nil {
			return
		}
		u, err := upstream.CheckURL(base + "/ai/openapi/v2/instance-service/task")
		if err != nil {
			t.Fatalf("serviceBase(%q) = %q: %v", raw, base, err)
		}
		if strings.HasSuffix(base, "/") || u.RawQuery != "" || !strings.HasSuffix(u.EscapedPath(), "/ai/openapi/v2/instance-service/task") {
			t.Errorf("serviceBase(%q) = %q", raw, base)
		}
	})
}

func FuzzCenter(f *testing.F) {
	for _, data := range []string{
		`{"id":11112,"aiUrls":[{"enable":"true","url":"https://ai.example/ai"}]}`, `[{"id":"1","aiUrls":"https://a.example,https://b.example"}]`,
		`{"aiUrls":{"url":"https://ai.example"}}`, `{"aiUrls":[["x"],7,null,{}]}`, `null`, `"internal_error"`,
	} {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data string) {
		found, err := centerOf(json.RawMessage(data), "1")
		if err != nil {
			return
		}
		bases, err := found.AIURLs.bases("/ai")
		if (len(bases) > 0) != (err == nil) {
			t.Errorf("%q gives %q and %v", data, bases, err)
		}
		for _, base := range bases {
			if _, err := upstream.CheckURL(base); err != nil {
				t.Errorf("%q gives %q: %v", data, base, err)
			}
		}
	})
}

func FuzzDecodeFiles(f *testing.F) {
	f.Add([]byte(`{"total":"2","path":"/p","children":[{"id":1,"label":"d"}],"fileList":[{"name":"a.out","size":"731","isRegularFile":true,"permissionAction":{"read":false}},{"name":"d","size":4096,"isDirectory":"true"}]}`))
	f.Add([]byte(`{"fileList":null}`))
	f.Add([]byte(`{"total":-1,"fileList":[{"name":"a","size":"-9","lastModifiedTime":"2026-13-40"},{"name":"a"}]}`))
	f.Add([]byte(`{"total":"9e99","fileList":{"name":"a"}}`))
	f.Add([]byte(`{"fileList":[{"name":"../x"},{"name":""},7,null,[]]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		files, total, err := decodeFiles(data)
		if err == nil && total < len(files) {
			t.Errorf("%d files of %d", len(files), total)
		}
		for _, file := range files {
			if file.Size < 0 || strings.Contains(file.Name, "/") || file.Name == ".." || file.Name == "" {
				t.Errorf("%+v", file)
			}
		}
	})
}

func FuzzDownload(f *testing.F) {
	f.Add(200, "bytes 0-3/4", []byte(`{"code":"911020","data":null,"msg":"File does not exist"}`), int64(0), int64(10))
	f.Add(206, "bytes 5-9/10", []byte("56789"), int64(6), int64(2))
	f.Add(206, "bytes 7-9/10", []byte("789"), int64(6), int64(2))
	f.Add(200, "", []byte(" {\"code\":911030,\"msg\":null,\"data\":null}\n"), int64(0), int64(10))
	f.Add(200, "", []byte(`{"code":"0","data":null}`), int64(0), int64(1<<40))
	f.Add(416, "", []byte("x"), int64(6), int64(2))
	f.Fuzz(func(t *testing.T, status int, contentRange string, body []byte, offset, n int64) {
		if offset < 0 || n < 1 {
			return
		}
		resp := &upstream.Response{Status: status, Header: http.Header{"Content-Range": {contentRange}}, Body: body}
		if got := part(resp, offset, n); int64(len(got)) > n || !bytes.Contains(body, got) {
			t.Errorf("%q of %q", got, body)
		}
		if isRefusal(resp) && !json.Valid(body) {
			t.Errorf("%q passes for a refusal", body)
		}
	})
}

// The bytes of an answer are used again for the next one, so nothing that was decoded may point into them.
func TestDecodedAnswersAreCopies(t *testing.T) {
	const answer = `{"code":"0","msg":"success","total":1,"data":[{"id":"i1","instanceServiceName":"train","status":"Running",` +
		`"gpuNumber":"2","mountInfoList":[{"sourcePath":"/a","targetPath":"/b","type":"path"}],` +
		`"containerPortInfoList":[{"accessUrl":"http://x","containerPort":8888,"protocolType":"HTTP"}]}]}`
	for name, rows := range map[string]bool{"rows": true, "raw": false} {
		decode := func(body []byte) string {
			var into table
			list := newListAnswer(10)
			if rows {
				into = list
			}
			env, ok := parseEnvelope(body, into)
			for i := range body {
				body[i] = 'x'
			}
			return fmt.Sprintf("%v %+v %s %+v %s", ok, list.Rows, env.Msg, env.Code, env.Data)
		}
		reused := []byte(answer)
		if got := decode(reused); strings.Contains(got, "xx") || !strings.Contains(got, "train") {
			t.Errorf("%s: %s", name, got)
		}
	}
}
