package fakecloud

import (
	"net/http"
	"net/url"
	"strings"
)

// Route maps a method and a path to an operation. A segment of the path in braces stands for a parameter.
type Route[Name ~string, Do any] struct {
	Name   Name
	Method string
	Path   string
	Do     Do
}

// On is a route.
func On[Name ~string, Do any](name Name, method, path string, do Do) Route[Name, Do] {
	return Route[Name, Do]{name, method, path, do}
}

// Find returns the route of a request and the parameters in its path, by their names. Order matters where a parameter
// could be taken for a fixed segment. Without a route, status is 404, or 405 if the path exists for another method.
func Find[Name ~string, Do any](
	routes []Route[Name, Do], r *http.Request,
) (found *Route[Name, Do], parameters map[string]string, status int) {
	status = http.StatusNotFound
	path := r.URL.EscapedPath()
	for i := range routes {
		p, ok := matchPath(routes[i].Path, path)
		if !ok {
			continue
		}
		if routes[i].Method == r.Method {
			return &routes[i], p, http.StatusOK
		}
		status = http.StatusMethodNotAllowed
	}
	return nil, nil, status
}

// matchPath compares an escaped request path with a route's path. Nothing is cleaned up on the way: a doubled slash or
// segment is a mistake that clients make, and must stay visible.
func matchPath(pattern, path string) (map[string]string, bool) {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	parameters := map[string]string{}
	for i, w := range want {
		if !strings.HasPrefix(w, "{") {
			if w != got[i] {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(got[i])
		if err != nil || value == "" {
			return nil, false
		}
		parameters[strings.Trim(w, "{}")] = value
	}
	return parameters, true
}
