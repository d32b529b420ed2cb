package gosdk

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"
)

var transports = flag.String("transports", "stdio,http,sse", "comma-separated: how the client reaches the server")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestClient(t *testing.T) {
	for transport := range strings.SplitSeq(*transports, ",") {
		for era, version := range map[string]string{"legacy": "2025-11-25", "modern": "2026-07-28"} {
			t.Run(transport+" "+era, func(t *testing.T) {
				walk(t, start(t, transport), version)
			})
		}
	}
}

// walk runs the steps in this order: they take their instances by status, and change it.
func walk(t *testing.T, s *server, version string) {
	progress := make(chan *mcp.ProgressNotificationParams, 100)
	session := s.connect(t, version, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, request *mcp.ProgressNotificationClientRequest) {
			progress <- request.Params
		},
	})
	t.Run("tools", func(t *testing.T) { lists(t, session) })
	t.Run("wrong", func(t *testing.T) { refuses(t, session) })
	t.Run("prompts", func(t *testing.T) { prompts(t, session) })
	t.Run("resources", func(t *testing.T) { resources(t, session) })
	t.Run("delete", func(t *testing.T) { deletes(t, session) })
	t.Run("progress", func(t *testing.T) { reports(t, session, progress) })
	t.Run("cancel", func(t *testing.T) { cancels(t, s, session, progress) })
	t.Run("decline", func(t *testing.T) {
		answered(t, s, version, &mcp.ElicitResult{Action: "decline"}, func(t *testing.T, result reply, listed bool) {
			if !result.isError || !strings.Contains(result.text, "said no") || !listed {
				t.Errorf("listed %t, answer %+v", listed, result)
			}
		})
	})
	t.Run("accept", func(t *testing.T) {
		yes := &mcp.ElicitResult{Action: "accept", Content: map[string]any{"confirmation": "delete 1"}}
		answered(t, s, version, yes, func(t *testing.T, result reply, listed bool) {
			if result.isError || result.State != "done" || listed {
				t.Errorf("listed %t, answer %+v", listed, result)
			}
		})
	})
}

func lists(t *testing.T, session *mcp.ClientSession) {
	tools, err := session.ListTools(deadline(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"list_instances", "restart_instance", "delete_instances"} {
		if !slices.ContainsFunc(tools.Tools, func(tool *mcp.Tool) bool { return tool.Name == name }) {
			t.Errorf("no %s", name)
		}
	}
}

func refuses(t *testing.T, session *mcp.ClientSession) {
	result := call(t, session, "list_instances", map[string]any{"limit": "many"})
	if !result.isError || !strings.Contains(result.text, "limit: expected a whole number") {
		t.Errorf("%+v", result)
	}
}

func deletes(t *testing.T, session *mcp.ClientSession) {
	id := some(t, session, "Completed")
	preview := call(t, session, "delete_instances", map[string]any{"instance_ids": []string{id}})
	if preview.State != "confirmation_required" || preview.Preview.Token == "" || !listed(t, session, id) {
		t.Fatalf("preview: %+v", preview)
	}
	done := call(t, session, "delete_instances",
		map[string]any{"instance_ids": []string{id}, "confirm": true, "preview_token": preview.Preview.Token})
	if done.State != "done" || listed(t, session, id) {
		t.Errorf("delete: %+v", done)
	}
}

// reports cannot check that progress precedes the result, because this client hands them over independently.
func reports(t *testing.T, session *mcp.ClientSession, progress <-chan *mcp.ProgressNotificationParams) {
	id := some(t, session, "Terminated")
	result, err := request(deadline(t), session, "restart_instance", "p1",
		map[string]any{"instance_id": id, "confirm": true, "wait_seconds": 4})
	if err != nil || result.isError {
		t.Fatal(err, result)
	}
	last := -1.0
	for range 2 {
		p := receive(t, progress)
		if p.ProgressToken != "p1" || p.Progress <= last || p.Total != 4 {
			t.Errorf("after %v: %+v", last, p)
		}
		last = p.Progress
	}
}

func cancels(t *testing.T, s *server, session *mcp.ClientSession, progress <-chan *mcp.ProgressNotificationParams) {
	id := some(t, session, "Failed")
	ctx, cancel := context.WithCancel(deadline(t))
	failed := make(chan error, 1)
	go func() {
		_, err := request(ctx, session, "restart_instance", "p2",
			map[string]any{"instance_id": id, "confirm": true, "wait_seconds": 50})
		failed <- err
	}()
	for receive(t, progress).ProgressToken != "p2" { // what is left of the call before
		continue
	}
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("the cancelled call gave %v", err)
	}
	// A call that goes on sees the instance Running, and ends with the state done.
	if r := s.audited(t, "restart_instance", id); r.State != "waiting" {
		t.Errorf("the audit log says %+v", r)
	}
	if !listed(t, session, id) {
		t.Error("the server has lost the instance")
	}
}

// answered calls delete_instances in a session whose user gives answer, and lets check judge the result.
func answered(t *testing.T, s *server, version string, answer *mcp.ElicitResult, check func(*testing.T, reply, bool)) {
	t.Helper()
	asked := make(chan string, 10)
	session := s.connect(t, version, &mcp.ClientOptions{
		ElicitationHandler: func(_ context.Context, request *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			asked <- request.Params.Message
			return answer, nil
		},
	})
	id := some(t, session, "Running")
	result := call(t, session, "delete_instances", map[string]any{"instance_ids": []string{id}, "confirm": true})
	if question := receive(t, asked); !strings.Contains(question, id) || len(asked) > 0 {
		t.Errorf("asked %q and %d times more", question, len(asked))
	}
	check(t, result, listed(t, session, id))
}

// reply is what the tests need of a result.
type reply struct {
	isError bool
	text    string

	State   string `json:"state"`
	Preview struct {
		Token string `json:"token"`
	} `json:"preview"`
	Instances []struct {
		ID     string `json:"id"`
		Status string `json:"status"`
	} `json:"instances"`
}

func call(t *testing.T, session *mcp.ClientSession, tool string, arguments map[string]any) reply {
	t.Helper()
	result, err := request(deadline(t), session, tool, "", arguments)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// request calls a tool, and wants progress under token unless it is empty.
func request(ctx context.Context, session *mcp.ClientSession, tool, token string, arguments map[string]any) (reply, error) {
	params := &mcp.CallToolParams{Name: tool, Arguments: arguments}
	if token != "" {
		params.SetProgressToken(token)
	}
	result, err := session.CallTool(ctx, params)
	if err != nil {
		return reply{}, err
	}
	r := reply{isError: result.IsError}
	for _, content := range result.Content {
		if text, ok := content.(*mcp.TextContent); ok {
			r.text += text.Text
		}
	}
	if result.StructuredContent == nil {
		return r, nil
	}
	structured, err := json.Marshal(result.StructuredContent)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(structured, &r)
}

func some(t *testing.T, session *mcp.ClientSession, status string) string {
	t.Helper()
	for _, instance := range call(t, session, "list_instances", nil).Instances {
		if instance.Status == status {
			return instance.ID
		}
	}
	t.Fatalf("no instance is %s", status)
	return ""
}

func listed(t *testing.T, session *mcp.ClientSession, id string) bool {
	t.Helper()
	for _, instance := range call(t, session, "list_instances", nil).Instances {
		if instance.ID == id {
			return true
		}
	}
	return false
}

func receive[T any](t *testing.T, values <-chan T) T {
	t.Helper()
	select {
	case value := <-values:
		return value
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}
