package workspace

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"
)

// The vector is the sample of page "AK/SK Signing and Authentication Guide"; its keys open nothing.
func TestPublishedVector(t *testing.T) {
	u, err := url.Parse("https://service.region.example.com/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs?limit=2&marker=13551d6b-755d-4757-b956-536f674975c0")
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{"Content-Type": {"application/json"}}
	at := time.Date(2019, 11, 15, 3, 36, 55, 0, time.UTC)
	sign("GET", u, header, nil, "QTWAOYTTINDUT2QVKYUC", "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc", at)
	const want = "SDK-HMAC-SHA256 Access=QTWAOYTTINDUT2QVKYUC, SignedHeaders=content-type;host;x-sdk-date, " +
		"Signature=7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe"
	if got := header.Get("Authorization"); got != want {
		t.Errorf("Authorization\n got %s\nwant %s", got, want)
	}
	if got := header.Get("X-Sdk-Date"); got != "20191115T033655Z" {
		t.Errorf("X-Sdk-Date = %s", got)
	}
	header.Del("Authorization")
	canonical, _ := canonicalRequest("GET", u, header, nil)
	if got := hexHash([]byte(canonical)); got != "b25362e603ee30f4f25e7858e8a7160fd36e803bb2dfe206278659d71a9bcd7a" {
		t.Errorf("hash of the canonical request = %s:\n%s", got, canonical)
	}
}

func TestDateIsUTC(t *testing.T) {
	header := http.Header{}
	at := time.Date(2026, 1, 1, 7, 0, 0, 0, time.FixedZone("", 8*60*60))
	sign("GET", &url.URL{Host: "h", Path: "/"}, header, nil, "a", "s", at)
	if got := header.Get("X-Sdk-Date"); got != "20251231T230000Z" {
		t.Errorf("X-Sdk-Date = %s", got)
	}
}

func TestCanonicalEncodings(t *testing.T) {
	for raw, want := range map[string]string{
		"":                             "",
		"b=2&a=1":                      "a=1&b=2",
		"a=2&a=10&a=1":                 "a=1&a=10&a=2",
		"a-b=1&a=2":                    "a=2&a-b=1", // by key, not by pair: "=" comes after "-"
		"q=a+b&r=a%20b&s=a%2Bb":        "q=a%20b&r=a%20b&s=a%2Bb",
		"n=%C3%BC%2F~.-_*":             "n=%C3%BC%2F~.-_%2A",
		"tag=k%3Dv%2Ck2%3Dv2":          "tag=k%3Dv%2Ck2%3Dv2",
		"empty=&none":                  "empty=&none=",
		"%E8%84%9A%E6%9C%AC=%25&A=a&a": "A=a&a=&%E8%84%9A%E6%9C%AC=%25",
	} {
		values, err := url.ParseQuery(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := canonicalQuery(values); got != want {
			t.Errorf("query %q = %q, want %q", raw, got, want)
		}
	}
	for path, want := range map[string]string{
		"":                "/",
		"/":               "/",
		"/v2/p/scripts":   "/v2/p/scripts/",
		"/v2/p/scripts/":  "/v2/p/scripts/",
		"/a b/ü+*:@!$&'(": "/a%20b/%C3%BC%2B%2A%3A%40%21%24%26%27%28/",
		"/%41":            "/%2541/", // it is the decoded path
	} {
		if got := canonicalPath(path); got != want {
			t.Errorf("path %q = %q, want %q", path, got, want)
		}
	}
}

// again signs as the page words it, by other means than sign.
func again(method, path string, query [][2]string, headers map[string]string, body, accessKey, secretKey string) string {
	encode := func(s string) string {
		return regexp.MustCompile(`[^A-Za-z0-9\-_.~]`).ReplaceAllStringFunc(s, func(c string) string {
			return strings.ToUpper(regexp.MustCompile(`..`).ReplaceAllString(fmt.Sprintf("%x", c), "%$0"))
		})
	}
	sort.SliceStable(query, func(i, j int) bool {
		if query[i][0] != query[j][0] {
			return query[i][0] < query[j][0]
		}
		return query[i][1] < query[j][1]
	})
	var pairs, lines, names []string
	for _, q := range query {
		pairs = append(pairs, encode(q[0])+"="+encode(q[1]))
	}
	for name := range headers {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		lines = append(lines, name+":"+headers[name]+"\n")
	}
	segments := strings.Split(strings.TrimSuffix(path, "/"), "/")
	for i := range segments {
		segments[i] = encode(segments[i])
	}
	signed := strings.Join(names, ";")
	canonical := strings.Join([]string{method, strings.Join(segments, "/") + "/", strings.Join(pairs, "&"), strings.Join(lines, ""), signed,
		fmt.Sprintf("%x", sha256.Sum256([]byte(body)))}, "\n")
	mac := hmac.New(sha256.New, []byte(secretKey))
	fmt.Fprintf(mac, "SDK-HMAC-SHA256\n%s\n%x", headers["x-sdk-date"], sha256.Sum256([]byte(canonical)))
	return fmt.Sprintf("SDK-HMAC-SHA256 Access=%s, SignedHeaders=%s, Signature=%x", accessKey, signed, mac.Sum(nil))
}

func TestAgainstAnotherImplementation(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		method, path string
		query        [][2]string
		header       map[string]string
		body         string
	}{
		"post":        {method: "POST", path: "/v2/p/script-executions", body: `{"a":"ü"}`, header: map[string]string{"x-project-id": "p"}},
		"query":       {method: "GET", path: "/v2/p/t", query: [][2]string{{"task_id", "b"}, {"task_id", "a"}, {"n", "a b+ü/%"}, {"task", "x"}}},
		"path":        {method: "DELETE", path: "/v2/p/a b/+ü"},
		"temporary":   {method: "GET", path: "/", header: map[string]string{"x-security-token": "tok/en+=="}},
		"slash ended": {method: "PUT", path: "/v2/p/scripts/", body: "x"},
	} {
		header := http.Header{}
		expected := map[string]string{"host": "h.example:8443", "x-sdk-date": "20261121T100000Z"}
		for key, value := range c.header {
			header.Set(key, " "+value+" ")
			expected[key] = value
		}
		values := url.Values{}
		for _, q := range c.query {
			values.Add(q[0], q[1])
		}
		u := &url.URL{Scheme: "https", Host: "h.example:8443", Path: c.path, RawQuery: canonicalQuery(values)}
		sign(c.method, u, header, []byte(c.body), "ak", "sk", at)
		if got, want := header.Get("Authorization"), again(c.method, c.path, c.query, expected, c.body, "ak", "sk"); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	f.Add("a b", "ü/+%", "/v2/p/a b")
	f.Add("", "\x00\xff", "//")
	f.Fuzz(func(t *testing.T, key, value, path string) {
		query := canonicalQuery(url.Values{key: {value, "z", ""}})
		if strings.Trim(query, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~%=&") != "" {
			t.Errorf("query %q holds what has to be escaped", query)
		}
		back, err := url.ParseQuery(query)
		if err != nil || len(back[key]) != 3 || !slices.Contains(back[key], value) {
			t.Errorf("query %q gives %q back: %v", query, back, err)
		}
		if again := canonicalQuery(back); again != query {
			t.Errorf("%q is %q the second time", query, again)
		}
		canonical := canonicalPath(path)
		back2, err := url.PathUnescape(canonical)
		if err != nil || strings.TrimSuffix(back2, "/") != strings.TrimSuffix(path, "/") || !strings.HasSuffix(canonical, "/") {
			t.Errorf("path %q gives %q back: %v", path, back2, err)
		}
	})
}
