package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The names of the signing scheme (API Gateway, page "AK/SK Signing and Authentication Algorithm").
const (
	algorithm       = "SDK-HMAC-SHA256"
	dateForm        = "20060102T150405Z"
	dateHeader      = "X-Sdk-Date"
	contentHeader   = "X-Sdk-Content-Sha256"
	unsignedPayload = "UNSIGNED-PAYLOAD"
)

// authorization is an Authorization header taken apart.
type authorization struct {
	access    string
	signed    []string
	signature string
}

// parseAuthorization reads "SDK-HMAC-SHA256 Access=…, SignedHeaders=a;b, Signature=…".
func parseAuthorization(text string) (authorization, bool) {
	rest, ok := strings.CutPrefix(text, algorithm+" ")
	if !ok {
		return authorization{}, false
	}
	var a authorization
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Access":
			a.access = value
		case "SignedHeaders":
			a.signed = strings.Split(value, ";")
		case "Signature":
			a.signature = value
		}
	}
	return a, a.access != "" && a.signed != nil && a.signature != ""
}

// signature computes what the client should have sent. Which headers are signed is the client's choice: Huawei's own SDK
// signs User-Agent and not Host.
func signature(r *http.Request, body []byte, signed []string, secret string) string {
	canonical := sha256.Sum256([]byte(canonicalRequest(r, body, signed)))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(algorithm + "\n" + r.Header.Get(dateHeader) + "\n" + hex.EncodeToString(canonical[:])))
	return hex.EncodeToString(mac.Sum(nil))
}

func canonicalRequest(r *http.Request, body []byte, signed []string) string {
	signed = slices.Sorted(slices.Values(signed))
	var b strings.Builder
	b.WriteString(r.Method + "\n" + canonicalPath(r.URL) + "\n" + canonicalQuery(r.URL.RawQuery) + "\n")
	for _, name := range signed {
		values := slices.Sorted(slices.Values(r.Header.Values(name)))
		if name == "host" { // net/http keeps it apart
			values = []string{r.Host}
		}
		for _, v := range values {
			b.WriteString(name + ":" + strings.TrimSpace(v) + "\n")
		}
	}
	b.WriteString("\n" + strings.Join(signed, ";") + "\n")
	if r.Header.Get(contentHeader) == unsignedPayload {
		b.WriteString(unsignedPayload)
	} else {
		sum := sha256.Sum256(body)
		b.WriteString(hex.EncodeToString(sum[:]))
	}
	return b.String()
}

// canonicalPath ends with a slash, also if the path does not.
func canonicalPath(u *url.URL) string {
	segments := strings.Split(u.EscapedPath(), "/")
	for i, s := range segments {
		if plain, err := url.PathUnescape(s); err == nil {
			segments[i] = escape(plain)
		}
	}
	return strings.TrimSuffix(strings.Join(segments, "/"), "/") + "/"
}

// canonicalQuery sorts by key and then by value. Sorting the escaped pairs would not do: "=" sorts after "-".
func canonicalQuery(raw string) string {
	values, _ := url.ParseQuery(raw) // a bad query has been refused already
	keys := make([]string, 0, len(values))
	for k := range values {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var pairs []string
	for _, k := range keys {
		for _, v := range slices.Sorted(slices.Values(values[k])) {
			pairs = append(pairs, escape(k)+"="+escape(v))
		}
	}
	return strings.Join(pairs, "&")
}

// escape is the percent-encoding of RFC 3986. url.QueryEscape makes a plus of a space, url.PathEscape leaves too much as it
// is.
func escape(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '~':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
	return b.String()
}

// maxSkew is how far a request's date may be off (API Gateway, page "AK/SK Signing and Authentication Algorithm").
const maxSkew = 15 * time.Minute

// maxBody is the limit of signed bodies (API Gateway, page "Error Codes", APIGW.0201).
const maxBody = 12 << 20

// authenticate checks who sent a request: by its token, else by its signature. A reply with a code is a refusal. The caller
// holds s.mu.
func (s *Simulator) authenticate(r *http.Request, body []byte, now time.Time) reply {
	if token := r.Header.Get("X-Auth-Token"); token != "" {
		if expiry, ok := s.tokens[token]; !ok || !now.Before(expiry) {
			return fail(codeToken, "")
		}
		return reply{}
	}
	a, ok := parseAuthorization(r.Header.Get("Authorization"))
	if !ok {
		return fail(codeSignature, "Incorrect IAM authentication information: no token and no signature")
	}
	date, err := time.Parse(dateForm, r.Header.Get(dateHeader))
	if err != nil || !slices.Contains(a.signed, "x-sdk-date") {
		return fail(codeTimestamp, "Incorrect authentication information: x-sdk-date is missing, malformed or not signed")
	}
	if skew := now.Sub(date); skew.Abs() > maxSkew {
		return fail(codeTimestamp, "")
	}
	i := slices.IndexFunc(s.account.Keys, func(k Key) bool { return k.AccessKey == a.access })
	if i < 0 {
		return fail(codeSignature, "Incorrect IAM authentication information: the AK does not exist")
	}
	key := s.account.Keys[i]
	if r.Header.Get("X-Security-Token") != key.SecurityToken {
		return fail(codeSignature, "Incorrect IAM authentication information: the security token does not belong to the AK")
	}
	if !key.Expires.IsZero() && !now.Before(key.Expires) {
		return fail(codeSignature, "Incorrect IAM authentication information: the temporary AK has expired")
	}
	if !hmac.Equal([]byte(signature(r, body, a.signed, key.SecretKey)), []byte(a.signature)) {
		return fail(codeSignature, "")
	}
	return reply{}
}
