package simulator

import (
	"net/http"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
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
	OpCreateToken        Operation = "create-token"         // KeystoneCreateUserTokenByPassword, of IAM
)

// Operations lists all operations.
func Operations() []Operation {
	ops := make([]Operation, len(routes))
	for i, r := range routes {
		ops[i] = r.Name
	}
	return ops
}

type route = fakecloud.Route[Operation, func(*call) reply]

const projectPath = "/v2/{project_id}"

// Order matters: /desktops/detail must be tried before /desktops/{id}.
var routes = []route{
	fakecloud.On(OpCreateScript, http.MethodPost, projectPath+"/scripts", (*call).createScript),
	fakecloud.On(OpListScripts, http.MethodGet, projectPath+"/scripts", (*call).listScripts),
	fakecloud.On(OpShowScript, http.MethodGet, projectPath+"/scripts/{id}", (*call).showScript),
	fakecloud.On(OpUpdateScript, http.MethodPut, projectPath+"/scripts/{id}", (*call).updateScript),
	fakecloud.On(OpDeleteScript, http.MethodDelete, projectPath+"/scripts/{id}", (*call).deleteScript),
	fakecloud.On(OpExecute, http.MethodPost, projectPath+"/script-executions", (*call).execute),
	fakecloud.On(OpExecuteByTag, http.MethodPost, projectPath+"/script-executions/by-desktop-tag", (*call).executeByTag),
	fakecloud.On(OpExecutePool, http.MethodPost, projectPath+"/desktop-pools/{id}/script-executions", (*call).executePool),
	fakecloud.On(OpRetry, http.MethodPost, projectPath+"/script-executions/retry", (*call).retry),
	fakecloud.On(OpStop, http.MethodPost, projectPath+"/script-executions/stop", (*call).stop),
	fakecloud.On(OpListTasks, http.MethodGet, projectPath+"/script-execution-tasks", (*call).listTasks),
	fakecloud.On(OpListRecords, http.MethodGet, projectPath+"/script-execution-records", (*call).listRecords),
	fakecloud.On(OpShowRecord, http.MethodGet, projectPath+"/script-execution-records/{id}", (*call).showRecord),
	fakecloud.On(OpListPoolTasks, http.MethodGet, projectPath+"/desktop-pools/script-execution-tasks/detail", (*call).listPoolTasks),
	fakecloud.On(OpListDesktops, http.MethodGet, projectPath+"/desktops", (*call).listDesktops),
	fakecloud.On(OpListDesktopsDetail, http.MethodGet, projectPath+"/desktops/detail", (*call).listDesktopsDetail),
	fakecloud.On(OpShowDesktop, http.MethodGet, projectPath+"/desktops/{id}", (*call).showDesktop),
	fakecloud.On(OpListProjects, http.MethodGet, "/v3/projects", (*call).listProjects),
	fakecloud.On(OpCreateToken, http.MethodPost, "/v3/auth/tokens", (*call).createToken),
}

// ofIAM reports whether an operation is one of IAM, which clients reach without the gateway.
func ofIAM(op Operation) bool { return op == OpListProjects || op == OpCreateToken }
