package simulator

import (
	"net/http"
	"net/url"
	"strings"
)

// Endpoint names one operation of the API.
type Endpoint string

// The operations, with the documentation pages that describe them.
const (
	EndpointToken     Endpoint = "token"     // safecertification/get-user-tokens-aksk
	EndpointPassword  Endpoint = "password"  // safecertification/get-user-tokens
	EndpointRenew     Endpoint = "renew"     // safecertification/renewal-token
	EndpointState     Endpoint = "state"     // safecertification/get-token-state
	EndpointCenter    Endpoint = "center"    // safecertification/get-center-info
	EndpointList      Endpoint = "list"      // container/query
	EndpointDetail    Endpoint = "detail"    // container/detail
	EndpointURL       Endpoint = "url"       // container/query-url
	EndpointRestart   Endpoint = "restart"   // container/restart
	EndpointStop      Endpoint = "stop"      // no page known
	EndpointDelete    Endpoint = "delete"    // container/delete
	EndpointExecute   Endpoint = "execute"   // container/execute
	EndpointCreate    Endpoint = "create"    // container/create
	EndpointResize    Endpoint = "resize"    // no page known
	EndpointResources Endpoint = "resources" // container/resources
	EndpointGroups    Endpoint = "groups"    // container/group
	EndpointMounts    Endpoint = "mounts"    // container/allowed-mount-dir
	EndpointImages    Endpoint = "images"    // container/getImages
)

// Endpoints lists all operations.
func Endpoints() []Endpoint {
	return []Endpoint{
		EndpointToken, EndpointPassword, EndpointRenew, EndpointState, EndpointCenter,
		EndpointList, EndpointDetail, EndpointURL, EndpointRestart, EndpointStop,
		EndpointDelete, EndpointExecute, EndpointCreate, EndpointResize,
		EndpointResources, EndpointGroups, EndpointMounts, EndpointImages,
	}
}

// route maps a method and a path to an operation; "{id}" in the path stands
// for one segment.
type route struct {
	method   string
	path     string
	endpoint Endpoint
	do       func(*call) reply
}

const (
	platformPath = "/ac/openapi/v2"
	servicePath  = "/ai/openapi/v2/instance-service"
)

var platformRoutes = []route{
	{http.MethodPost, "/api/user/v3/tokens", EndpointToken, (*call).token},
	{http.MethodPost, platformPath + "/tokens", EndpointPassword, (*call).password},
	{http.MethodPost, platformPath + "/tokens/next", EndpointRenew, (*call).renew},
	{http.MethodGet, platformPath + "/tokens/state", EndpointState, (*call).state},
	{http.MethodGet, platformPath + "/center", EndpointCenter, (*call).center},
}

var containerRoutes = []route{
	{http.MethodGet, servicePath + "/task", EndpointList, (*call).listTask},
	{http.MethodGet, servicePath + "/task/list", EndpointList, (*call).listTaskList},
	{http.MethodGet, servicePath + "/{id}/detail", EndpointDetail, (*call).detail},
	{http.MethodGet, servicePath + "/{id}/url", EndpointURL, (*call).accessURL},
	{http.MethodPost, servicePath + "/task/actions/restart", EndpointRestart, (*call).restart},
	{http.MethodPost, servicePath + "/task/actions/stop", EndpointStop, (*call).stop},
	{http.MethodDelete, servicePath + "/task", EndpointDelete, (*call).delete},
	{http.MethodPost, servicePath + "/task/actions/execute-script", EndpointExecute, (*call).execute},
	{http.MethodPost, servicePath + "/task", EndpointCreate, (*call).create},
	{http.MethodPost, servicePath + "/resource-spec/actions/update", EndpointResize, (*call).resize},
	{http.MethodGet, servicePath + "/resources", EndpointResources, (*call).resources},
	{http.MethodGet, servicePath + "/resource-group", EndpointGroups, (*call).groups},
	{http.MethodGet, servicePath + "/allowed-mount-dir", EndpointMounts, (*call).mounts},
	{http.MethodPost, "/ai/openapi/v2/image/images", EndpointImages, (*call).images},
}

// find returns the route for a request and the id in its path. Without a
// route, status is 404, or 405 if the path exists for another method.
func find(routes []route, method, path string) (found *route, id string, status int) {
	status = http.StatusNotFound
	for i := range routes {
		id, ok := matchPath(routes[i].path, path)
		if !ok {
			continue
		}
		if routes[i].method == method {
			return &routes[i], id, http.StatusOK
		}
		status = http.StatusMethodNotAllowed
	}
	return nil, "", status
}

// matchPath compares an escaped request path with a route's path. Nothing is
// cleaned up on the way: "/ai/ai/…" and "//" are the mistakes clients make
// with the two shapes of the aiUrls, and must stay visible.
func matchPath(pattern, path string) (id string, ok bool) {
	before, after, has := strings.Cut(pattern, "{id}")
	if !has {
		return "", path == pattern
	}
	rest, ok := strings.CutPrefix(path, before)
	if !ok {
		return "", false
	}
	segment, ok := strings.CutSuffix(rest, after)
	if !ok || segment == "" || strings.Contains(segment, "/") {
		return "", false
	}
	id, err := url.PathUnescape(segment)
	return id, err == nil
}
