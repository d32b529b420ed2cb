package sdktest

import (
	"reflect"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/workspace/v2/model"

	"github.com/scnet-mcp/scnet-mcp/workspace"
	"github.com/scnet-mcp/scnet-mcp/workspace/simulator"
)

// What our client sends to execute scripts is what the SDK sends.
func TestClientSendsWhatTheSDKSends(t *testing.T) {
	sim, _ := start(t, simulator.Options{})
	key := simulator.DemoAccount().Keys[0]
	theirs := client(t, sim, key)
	ours, err := workspace.New(workspace.Config{
		AccessKey: workspace.NewSecret(key.AccessKey), SecretKey: workspace.NewSecret(key.SecretKey),
		ProjectID: sim.ProjectID(), Endpoint: sim.URL(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()

	var ids []string
	for _, d := range simulator.DemoDesktops()[:3] {
		ids = append(ids, d.ID)
	}
	script := simulator.DemoScripts()[0].ID
	for name, c := range map[string]struct {
		ours   workspace.Execution
		theirs *model.ExecuteScriptOrCommandReq
	}{
		"documented": {workspace.Execution{Desktops: ids[:1], Scripts: []string{script}, TimeoutMinutes: new(10)}, documented()},
		"count": {
			workspace.Execution{Desktops: ids, Scripts: []string{script}, GrayCount: new(2), GrayFailThreshold: new(1)},
			&model.ExecuteScriptOrCommandReq{
				ResourceType: new("DESKTOP"), ResourceIds: &ids, ScriptIds: &[]string{script},
				GrayCount: new(int32(2)), GrayFailThreshold: new(int32(1)),
			},
		},
		"ids": {
			workspace.Execution{Desktops: ids, Scripts: []string{script}, GrayDesktops: ids[1:], TimeoutMinutes: new(0)},
			&model.ExecuteScriptOrCommandReq{
				ResourceType: new("DESKTOP"), ResourceIds: &ids, ScriptIds: &[]string{script},
				GrayResourceIds: new(ids[1:]), ExecutionTimeout: new(int32(0)),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(sim.Requests())
			execute(t, theirs, c.theirs)
			if _, err := ours.Execute(t.Context(), c.ours); err != nil {
				t.Fatal(err)
			}
			sent := sim.Requests()[before:]
			if len(sent) != 2 || !reflect.DeepEqual(decoded(t, sent[0].Body), decoded(t, sent[1].Body)) || sent[0].Path != sent[1].Path {
				t.Errorf("sent: %+v", sent)
			}
		})
	}
}
