package simulator

import (
	"net/http"
	"net/url"
	"strings"
)

// Operation names one operation of the API.
type Operation string

// The operations, with the pages of the API reference that describe them.
const (
	OpCreateScript       Operation = "create-script"        // CreateScript
	OpListScripts        Operation = "list-scripts"         // ListScripts
	OpShowScript         Operation = "show-script"          // ShowScriptDetail
	OpUpdateScript       Operation = "update-script"        // UpdateScript
	OpDeleteScript       Operation = "delete-script"        // DeleteScript
	OpExecute            Operation = "execute"              // ExecuteScriptOrCommand
	OpExecuteByTag       Operation = "execute-by-tag"       // ExecuteScriptByDesktopTag
	OpExecutePool        Operation = "execute-pool"         // ExecuteDesktopPoolScript
	OpRetry              Operation = "retry"                // RetryScriptExecution
	OpStop               Operation = "stop"                 // StopScriptExecution
	OpListTasks          Operation = "list-tasks"           // ListScriptTasks
	OpListRecords        Operation = "list-records"         // ListScriptRecords
	OpShowRecord         Operation = "show-record"          // ShowScriptRecordDetail
	OpListPoolTasks      Operation = "list-pool-tasks"      // ShowDesktopPoolsScriptExecTasks
	OpListDesktops       Operation = "list-desktops"        // ListDesktops
	OpListDesktopsDetail Operation = "list-desktops-detail" // ListDesktopsDetail
	OpShowDesktop        Operation = "show-desktop"         // ShowDesktopDetail
	OpListProjects       Operation = "list-projects"        // KeystoneListProjects, of IAM
)

// Operations lists all operations.
func Operations() []Operation {
	ops := make([]Operation, len(routes))
	for i, r := range routes {
		ops[i] = r.op
	}
	return ops
}

// route maps a method and a path to an operation. A segment in braces stands
// for a parameter.
type route struct {
	op     Operation
	method string
	path   string
	do     func(*call) reply
}

const projectPath = "/v2/{project_id}"

// routes is in the order of precedence: /desktops/detail is no desktop's id.
var routes = []route{
	{OpCreateScript, http.MethodPost, projectPath + "/scripts", (*call).createScript},
	{OpListScripts, http.MethodGet, projectPath + "/scripts", (*call).listScripts},
	{OpShowScript, http.MethodGet, projectPath + "/scripts/{id}", (*call).showScript},
	{OpUpdateScript, http.MethodPut, projectPath + "/scripts/{id}", (*call).updateScript},
	{OpDeleteScript, http.MethodDelete, projectPath + "/scripts/{id}", (*call).deleteScript},
	{OpExecute, http.MethodPost, projectPath + "/script-executions", (*call).execute},
	{OpExecuteByTag, http.MethodPost, projectPath + "/script-executions/by-desktop-tag", (*call).executeByTag},
	{OpExecutePool, http.MethodPost, projectPath + "/desktop-pools/{id}/script-executions", (*call).executePool},
	{OpRetry, http.MethodPost, projectPath + "/script-executions/retry", (*call).retry},
	{OpStop, http.MethodPost, projectPath + "/script-executions/stop", (*call).stop},
	{OpListTasks, http.MethodGet, projectPath + "/script-execution-tasks", (*call).listTasks},
	{OpListRecords, http.MethodGet, projectPath + "/script-execution-records", (*call).listRecords},
	{OpShowRecord, http.MethodGet, projectPath + "/script-execution-records/{id}", (*call).showRecord},
	{OpListPoolTasks, http.MethodGet, projectPath + "/desktop-pools/script-execution-tasks/detail", (*call).listPoolTasks},
	{OpListDesktops, http.MethodGet, projectPath + "/desktops", (*call).listDesktops},
	{OpListDesktopsDetail, http.MethodGet, projectPath + "/desktops/detail", (*call).listDesktopsDetail},
	{OpShowDesktop, http.MethodGet, projectPath + "/desktops/{id}", (*call).showDesktop},
	{OpListProjects, http.MethodGet, "/v3/projects", (*call).listProjects},
}

// find returns the route of a request and the parameters in its path. Without
// a route, known says whether the path is served for another method.
func find(method, path string) (found *route, parameters map[string]string, known bool) {
	for i := range routes {
		p, ok := matchPath(routes[i].path, path)
		if !ok {
			continue
		}
		if routes[i].method == method {
			return &routes[i], p, true
		}
		known = true
	}
	return nil, nil, known
}

// matchPath compares an escaped request path with a route's path. Nothing is
// normalised: a doubled slash is another path.
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
