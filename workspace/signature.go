package workspace

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	signatureAlgorithm = "SDK-HMAC-SHA256"
	signatureDate      = "20060102T150405Z" // UTC
)

// sign sets X-Sdk-Date and Authorization (page "AK/SK Signing and Authentication Guide"). It signs the host and every
// field that header holds: put in afterwards what a proxy may rewrite, such as the User-Agent.
func sign(method string, address *url.URL, header http.Header, body []byte, accessKey, secretKey string, at time.Time) {
	date := at.UTC().Format(signatureDate)
	header.Set("X-Sdk-Date", date)
	canonical, names := canonicalRequest(method, address, header, body)
	mac := hmac.New(sha256.New, []byte(secretKey))
	mac.Write([]byte(signatureAlgorithm + "\n" + date + "\n" + hexHash([]byte(canonical))))
	header.Set("Authorization", fmt.Sprintf("%s Access=%s, SignedHeaders=%s, Signature=%s",
		signatureAlgorithm, accessKey, names, hex.EncodeToString(mac.Sum(nil))))
}

// canonicalRequest returns the text that is signed, and the names of the signed header fields joined by semicolons.
func canonicalRequest(method string, address *url.URL, header http.Header, body []byte) (canonical, names string) {
	fields := map[string][]string{"host": {address.Host}}
	for name, values := range header {
		fields[strings.ToLower(name)] = values
	}
	var sorted []string
	for name := range fields {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	names = strings.Join(sorted, ";")

	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n%s\n", method, canonicalPath(address.Path), canonicalQuery(address.Query()))
	for _, name := range sorted {
		for _, value := range slices.Sorted(slices.Values(fields[name])) {
			fmt.Fprintf(&b, "%s:%s\n", name, strings.TrimSpace(value))
		}
	}
	fmt.Fprintf(&b, "\n%s\n%s", names, hexHash(body))
	return b.String(), names
}

// canonicalPath escapes each segment of a decoded path and ends it with a slash, which is there for signing only.
func canonicalPath(path string) string {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		segments[i] = escape(segment)
	}
	escaped := strings.Join(segments, "/")
	if !strings.HasSuffix(escaped, "/") {
		escaped += "/"
	}
	return escaped
}

// canonicalQuery sorts by key, then by value, and keeps repeated keys apart. It is also what goes on the wire: unlike
// url.Values.Encode it writes a space as %20, which no server can take for a plus.
func canonicalQuery(values url.Values) string {
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	var pairs []string
	for _, key := range keys {
		for _, value := range slices.Sorted(slices.Values(values[key])) {
			pairs = append(pairs, escape(key)+"="+escape(value))
		}
	}
	return strings.Join(pairs, "&")
}

// escape encodes every byte outside RFC 3986's unreserved set; the functions of net/url leave more of them as they are.
func escape(text string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '~':
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

func hexHash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
