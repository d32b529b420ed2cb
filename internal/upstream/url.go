package upstream

import (
	"net"
	"net/url"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// CheckURL parses raw and demands https, or http on a loopback host, and neither user nor fragment.
func CheckURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, lang.Errorf("the address cannot be parsed as a URL")
	}
	switch {
	case u.Host == "" || u.Hostname() == "":
		return nil, lang.Errorf("the address has no host; it must look like https://host:port")
	case u.User != nil || u.Fragment != "":
		return nil, lang.Errorf("the address must hold neither a user name nor a fragment")
	case u.Scheme == "https":
	case u.Scheme == "http" && IsLoopback(u.Hostname()):
	default:
		return nil, lang.Errorf("%w (%s)", ErrInsecureURL, Endpoint(raw))
	}
	return u, nil
}

// IsLoopback reports whether host, without port, names this machine's loopback interface.
func IsLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Endpoint returns host and path of raw for messages: a query or a user name may hold what must not be shown.
func Endpoint(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(unparsable address)"
	}
	return u.Host + u.EscapedPath()
}

// IsHeaderValue reports whether text arrives unchanged in an HTTP header, where credentials travel: spaces around it would
// be lost, and with them the signature.
func IsHeaderValue(text string) bool {
	if strings.Trim(text, " ") != text {
		return false
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] == 0x7f {
			return false
		}
	}
	return true
}
