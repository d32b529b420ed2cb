// Package sdktest drives the simulated Workspace with Huawei's own SDK, unchanged: what the SDK signs and sends, the
// simulator must take, and what the simulator answers, the SDK must understand.
package sdktest

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/config"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/region"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	sdk "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/workspace/v2"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/workspace/v2/model"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/workspace/simulator"
)

// clock follows the machine's, because the SDK signs with that, and can be put forward by less than the skew that
// signatures may have.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

func start(t *testing.T, o simulator.Options) (*simulator.Simulator, *clock) {
	t.Helper()
	c := &clock{}
	o.Now = c.Now
	sim := simulator.New(o)
	fakecloudtest.Start(t, sim)
	return sim, c
}

// settings keep connections inside the test. Without a User-Agent the SDK would write a file into the home folder.
func settings(t *testing.T) *config.HttpConfig {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return config.DefaultHttpConfig().WithUserAgent("sdktest").WithHttpTransport(transport).WithTimeout(10 * time.Second)
}

func client(t *testing.T, sim *simulator.Simulator, key simulator.Key) *sdk.WorkspaceClient {
	t.Helper()
	builder := basic.NewCredentialsBuilder().WithAk(key.AccessKey).WithSk(key.SecretKey).WithProjectId(sim.ProjectID())
	if key.SecurityToken != "" {
		builder = builder.WithSecurityToken(key.SecurityToken)
	}
	credentials, err := builder.SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	hc, err := sdk.WorkspaceClientBuilder().WithEndpoint(sim.URL()).WithCredential(credentials).WithHttpConfig(settings(t)).SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	return sdk.NewWorkspaceClient(hc)
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantStatus(t *testing.T, err error, status int, code string) {
	t.Helper()
	var e *sdkerr.ServiceResponseError
	if !errors.As(err, &e) || e.StatusCode != status || e.ErrorCode != code || e.RequestId == "" || e.ErrorMessage == "" {
		t.Errorf("got %v, want HTTP %d with %s", err, status, code)
	}
}

func TestEverythingWithBothKinds(t *testing.T) {
	for _, key := range simulator.DemoAccount().Keys {
		name := "permanent"
		if key.SecurityToken != "" {
			name = "temporary"
		}
		t.Run(name, func(t *testing.T) { everything(t, key) })
	}
}

func everything(t *testing.T, key simulator.Key) {
	sim, clock := start(t, simulator.Options{})
	c := client(t, sim, key)

	list := must[*model.ListDesktopsResponse](t)(c.ListDesktops(&model.ListDesktopsRequest{
		Status: new("ACTIVE"), Tag: new("dept=rd"), UserName: &[]string{"zhangwei", "liming"}, Limit: new(int32(10)),
	}))
	if *list.TotalCount != 2 || len(*list.Desktops) != 2 || *(*list.Desktops)[0].ComputerName != "研发-张伟-01" {
		t.Fatalf("desktops: %v", list)
	}
	first, second := *(*list.Desktops)[0].DesktopId, *(*list.Desktops)[1].DesktopId
	detail := must[*model.ListDesktopsDetailResponse](t)(c.ListDesktopsDetail(&model.ListDesktopsDetailRequest{DesktopId: &[]string{first, second}}))
	one := must[*model.ShowDesktopDetailResponse](t)(c.ShowDesktopDetail(&model.ShowDesktopDetailRequest{DesktopId: second}))
	if len(*detail.Desktops) != 2 || *one.Desktop.LoginStatus != "REGISTERED" || one.Desktop.Metadata["os_type"] != "Linux" {
		t.Errorf("details: %v, %v", detail, one)
	}

	created := must[*model.CreateScriptResponse](t)(c.CreateScript(&model.CreateScriptRequest{Body: &model.CreateScriptReq{
		Name: "磁盘 + 检查", Type: model.GetCreateScriptReqTypeEnum().SHELL, Content: "#!/bin/sh\necho '<你好>' && df -h\n", Version: new("1"),
	}}))
	script := *created.ScriptId
	if found := must[*model.ListScriptsResponse](t)(c.ListScripts(&model.ListScriptsRequest{Name: new("磁盘 + ")})); *found.Count != 1 {
		t.Errorf("scripts: %v", found)
	}
	must[*model.UpdateScriptResponse](t)(c.UpdateScript(&model.UpdateScriptRequest{ScriptId: script, Body: &model.UpdateScriptReq{
		Name: "new", Content: "uptime", Description: new("d"),
	}}))
	shown := must[*model.ShowScriptDetailResponse](t)(c.ShowScriptDetail(&model.ShowScriptDetailRequest{ScriptId: script}))
	if *shown.Content != "uptime" || *shown.Type != "SHELL" || *shown.Description != "d" || shown.UpdateTime == nil {
		t.Errorf("script: %v", shown)
	}

	execution := &model.ExecuteScriptOrCommandRequest{Body: &model.ExecuteScriptOrCommandReq{
		ResourceType: new("DESKTOP"), ResourceIds: &[]string{first, second, *switchedOff(t, c).DesktopId}, ScriptIds: &[]string{script},
		GrayCount: new(int32(2)), GrayFailThreshold: new(int32(1)), ExecutionTimeout: new(int32(5)),
	}}
	sim.SetOutcome(second, "", simulator.Outcome{Kind: simulator.Fail, Output: "磁盘已满\n", ResultCode: "1", Reason: "full"})
	task := *must[*model.ExecuteScriptOrCommandResponse](t)(c.ExecuteScriptOrCommand(execution)).TaskId
	clock.advance(2 * time.Second)
	running := theTask(t, c, task)
	if *running.Status != "RUNNING" || running.EndTime != nil || running.StartTime == nil || len(*running.GrayResourceIds) != 2 {
		t.Errorf("running: %v", running)
	}
	clock.advance(time.Minute)
	ended := theTask(t, c, task)
	if *ended.Status != "FAILED" || *ended.SuccessNum != 1 || *ended.FailedNum != 1 || *ended.SkipNum != 1 || ended.EndTime == nil {
		t.Errorf("ended: %v", ended)
	}
	gray := must[*model.ListScriptRecordsResponse](t)(c.ListScriptRecords(&model.ListScriptRecordsRequest{
		ScriptTaskId: &task, IsFirstOrder: new(true), ResourceId: &[]string{first, second}, Status: new("FAILED"),
	}))
	if *gray.Count != 1 || *(*gray.ScriptRecords)[0].ExecuteOrder != 1 || *(*gray.ScriptRecords)[0].ResourceId != second {
		t.Fatalf("records: %v", gray)
	}
	record := *(*gray.ScriptRecords)[0].Id
	output := must[*model.ShowScriptRecordDetailResponse](t)(c.ShowScriptRecordDetail(&model.ShowScriptRecordDetailRequest{RecordId: record}))
	if *output.Output != "磁盘已满\n" || *output.ResultCode != "1" || *output.Reason != "full" {
		t.Errorf("record: %v", output)
	}

	retried := *must[*model.RetryScriptExecutionResponse](t)(c.RetryScriptExecution(&model.RetryScriptExecutionRequest{
		Body: &model.RetryScriptExecutionReq{RecordId: &record},
	})).TaskId
	must[*model.StopScriptExecutionResponse](t)(c.StopScriptExecution(&model.StopScriptExecutionRequest{
		Body: &model.StopScriptExecutionReq{TaskId: &retried},
	}))
	if stopped := theTask(t, c, retried); *stopped.SkipNum != 1 || stopped.EndTime == nil {
		t.Errorf("stopped: %v", stopped)
	}
	siblings(t, c, script)

	must[*model.DeleteScriptResponse](t)(c.DeleteScript(&model.DeleteScriptRequest{ScriptId: script}))
	_, err := c.DeleteScript(&model.DeleteScriptRequest{ScriptId: script})
	wantStatus(t, err, 404, "WKS.00000404")
	execution.Body.GrayFailThreshold = new(int32(2))
	_, err = c.ExecuteScriptOrCommand(execution)
	wantStatus(t, err, 400, "WKS.00211102")
	sim.Inject(simulator.Fault{Code: "APIGW.0308"})
	_, err = c.ListScripts(&model.ListScriptsRequest{})
	wantStatus(t, err, 429, "APIGW.0308")
	for _, r := range sim.Requests() {
		if r.AccessKey != key.AccessKey || r.Operation == "" {
			t.Errorf("%+v", r)
		}
	}
}

// switchedOff returns a desktop on which nothing runs.
func switchedOff(t *testing.T, c *sdk.WorkspaceClient) *model.SimpleDesktopInfo {
	t.Helper()
	list := must[*model.ListDesktopsResponse](t)(c.ListDesktops(&model.ListDesktopsRequest{ComputerName: new("win-sales")}))
	return &(*list.Desktops)[0]
}

func theTask(t *testing.T, c *sdk.WorkspaceClient, id string) model.ScriptTaskInfo {
	t.Helper()
	list := must[*model.ListScriptTasksResponse](t)(c.ListScriptTasks(&model.ListScriptTasksRequest{TaskId: &[]string{"another", id}}))
	if *list.Count != 1 || *(*list.ScriptTasks)[0].Id != id {
		t.Fatalf("tasks: %v", list)
	}
	return (*list.ScriptTasks)[0]
}

// siblings starts scripts by tag and in a pool.
func siblings(t *testing.T, c *sdk.WorkspaceClient, script string) {
	t.Helper()
	must[*model.ExecuteScriptByDesktopTagResponse](t)(c.ExecuteScriptByDesktopTag(&model.ExecuteScriptByDesktopTagRequest{
		Body: &model.ExecuteScriptByDesktopTagReq{DesktopTag: "dept=rd", ScriptIds: &[]string{script}, GrayCount: new(int32(1))},
	}))
	pool := simulator.DemoPools()[0].ID
	kind := model.GetExecuteDesktopPoolScriptsReqCommandTypeEnum().SHELL
	must[*model.ExecuteDesktopPoolScriptResponse](t)(c.ExecuteDesktopPoolScript(&model.ExecuteDesktopPoolScriptRequest{
		PoolId: pool, Body: &model.ExecuteDesktopPoolScriptsReq{CommandContent: new("uptime"), CommandType: &kind},
	}))
	list := must[*model.ShowDesktopPoolsScriptExecTasksResponse](t)(c.ShowDesktopPoolsScriptExecTasks(&model.ShowDesktopPoolsScriptExecTasksRequest{
		DesktopPoolId: &pool, TaskType: new("COMMAND"), Status: new("WAITING"),
	}))
	if *list.TotalCount != 1 || (*list.ScriptExecutionTasks)[0].Status.Value() != "INIT" {
		t.Errorf("pool tasks: %v", list)
	}
}

// The SDK reads all looks of a time that has not come yet; an empty one becomes year 1.
func TestTimesThatHaveNotCome(t *testing.T) {
	for _, look := range []simulator.EndTime{simulator.EndAbsent, simulator.EndNull, simulator.EndEmpty} {
		sim, _ := start(t, simulator.Options{Quirks: simulator.Quirks{EndTime: look}})
		c := client(t, sim, simulator.DemoAccount().Keys[0])
		task := execute(t, c, documented())
		end := theTask(t, c, task).EndTime
		if (look == simulator.EndEmpty) != (end != nil && time.Time(*end).Year() == 1) || end != nil && look != simulator.EndEmpty {
			t.Errorf("%v: %v", look, end)
		}
	}
}

func TestDiscovery(t *testing.T) {
	discover := func(o simulator.Options, ak string, projects ...simulator.Project) (*simulator.Simulator, *sdk.WorkspaceClient, error) {
		o.Account = simulator.DemoAccount()
		o.Account.Keys[0].AccessKey = ak // the SDK remembers projects by key, for the whole process
		o.Account.Projects = projects
		sim, _ := start(t, o)
		credentials, err := basic.NewCredentialsBuilder().WithAk(ak).WithSk(o.Account.Keys[0].SecretKey).WithIamEndpointOverride(sim.URL()).SafeBuild()
		if err != nil {
			t.Fatal(err)
		}
		hc, err := sdk.WorkspaceClientBuilder().WithRegion(region.NewRegion("cn-north-4", sim.URL())).WithCredential(credentials).WithHttpConfig(settings(t)).SafeBuild()
		return sim, sdk.NewWorkspaceClient(hc), err
	}
	here, there := simulator.Project{ID: "p1", Name: "cn-north-4"}, simulator.Project{ID: "p2", Name: "cn-east-3"}
	sim, c, err := discover(simulator.Options{}, "ONE", here, there)
	if err != nil {
		t.Fatal(err)
	}
	must[*model.ListScriptsResponse](t)(c.ListScripts(&model.ListScriptsRequest{}))
	sent := sim.Requests()
	if len(sent) != 2 || sent[0].Operation != simulator.OpListProjects || sent[0].Query != "name=cn-north-4" || !strings.HasPrefix(sent[1].Path, "/v2/p1/") {
		t.Errorf("sent: %+v", sent)
	}
	if _, _, err = discover(simulator.Options{}, "NONE", there); err == nil || !strings.Contains(err.Error(), "failed to get project id") {
		t.Errorf("no project: %v", err)
	}
	if _, _, err = discover(simulator.Options{}, "TWO", here, simulator.Project{ID: "p3", Name: "cn-north-4"}); err == nil || !strings.Contains(err.Error(), "[p1,p3]") {
		t.Errorf("two projects: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	sim, _ := start(t, simulator.Options{})
	keys := simulator.DemoAccount().Keys
	for name, key := range map[string]simulator.Key{
		"wrong secret":  {AccessKey: keys[0].AccessKey, SecretKey: "x"},
		"unknown key":   {AccessKey: "x", SecretKey: keys[0].SecretKey},
		"without token": {AccessKey: keys[1].AccessKey, SecretKey: keys[1].SecretKey},
		"wrong token":   {AccessKey: keys[1].AccessKey, SecretKey: keys[1].SecretKey, SecurityToken: "x"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client(t, sim, key).ListScripts(&model.ListScriptsRequest{Limit: new(int32(5))})
			wantStatus(t, err, 401, "APIGW.0301")
		})
	}
	other, clock := start(t, simulator.Options{})
	clock.advance(16 * time.Minute)
	_, err := client(t, other, keys[0]).ListScripts(&model.ListScriptsRequest{})
	wantStatus(t, err, 401, "APIGW.0303")
}

// documented is the example of page ExecuteScriptOrCommand.
func documented() *model.ExecuteScriptOrCommandReq {
	return &model.ExecuteScriptOrCommandReq{
		ResourceType: new("DESKTOP"), ResourceIds: &[]string{"eb4ccd3e-170f-48ec-9715-ec0457df376f"},
		ScriptIds: &[]string{"923438311391891456"}, ExecutionTimeout: new(int32(10)),
	}
}

func execute(t *testing.T, c *sdk.WorkspaceClient, body *model.ExecuteScriptOrCommandReq) string {
	t.Helper()
	return *must[*model.ExecuteScriptOrCommandResponse](t)(c.ExecuteScriptOrCommand(&model.ExecuteScriptOrCommandRequest{Body: body})).TaskId
}

func decoded(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

func TestDocumentedExample(t *testing.T) {
	const request = `{
"resource_type" : "DESKTOP",
"resource_ids" : [ "eb4ccd3e-170f-48ec-9715-ec0457df376f" ],
"script_ids" : [ "923438311391891456" ],
"execution_timeout" : 10
}`
	sim, _ := start(t, simulator.Options{TaskIDs: []string{"0000000059071dbc01591661d3990019"}})
	if id := execute(t, client(t, sim, simulator.DemoAccount().Keys[0]), documented()); id != "0000000059071dbc01591661d3990019" {
		t.Errorf("task_id %s", id)
	}
	if sent := sim.Requests()[0].Body; !reflect.DeepEqual(decoded(t, sent), decoded(t, request)) {
		t.Errorf("the SDK sent %s", sent)
	}
}
