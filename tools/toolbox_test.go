package tools_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// foreignService reaches a server that answers every request with body.
func foreignService(t *testing.T, body string) tools.Service {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(body))
	}))
	client, err := scnet.New(scnet.Config{Token: scnet.NewSecret("token"), AIURL: server.URL, Region: "11250"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return tools.Service{SCNet: client}
}

type nothing struct{}

type empty struct {
	Names []string `json:"names" jsonschema_description:"Names"`
}

func (empty) Text() string { return "" }

func declared(name string, run func(context.Context, tools.Service, nothing) (empty, error)) tools.Tool {
	return tools.Declare(tools.Tool{Name: name, Title: name, Description: name, Toolset: "test", Risk: guard.Read}, tools.Mode{}, run)
}

func TestFaultsOfOursStayInTheLog(t *testing.T) {
	const inside = "inside of the server"
	toolbox := tools.NewToolbox(tools.Service{}, []tools.Tool{
		declared("panics", func(context.Context, tools.Service, nothing) (empty, error) { panic(inside) }),
		declared("breaks_its_schema", func(context.Context, tools.Service, nothing) (empty, error) { return empty{}, nil }),
	})
	for _, tool := range toolbox.Tools() {
		var log strings.Builder
		ctx := zerolog.New(&log).WithContext(t.Context())
		_, err := toolbox.Call(ctx, tools.Call{Tool: tool.Name})
		text := tools.Explain(err)
		_, rest, found := strings.Cut(text, "error id ")
		if err == nil || !found || strings.Contains(text, inside) || strings.Contains(text, "names") {
			t.Fatalf("%s: %q", tool.Name, text)
		}
		id, _, _ := strings.Cut(rest, ")")
		if !strings.Contains(log.String(), id) || (tool.Name == "panics" && !strings.Contains(log.String(), inside)) {
			t.Errorf("%s: the log does not explain %s: %s", tool.Name, id, log.String())
		}
	}
}

func TestUnknownTool(t *testing.T) {
	toolbox := tools.NewToolbox(tools.Service{}, tools.All(tools.Mode{}))
	_, err := toolbox.Call(t.Context(), tools.Call{Tool: "list_instance"})
	if !errors.Is(err, tools.ErrUnknownTool) || !strings.Contains(tools.Explain(err), "list_instances") {
		t.Errorf("err = %v", err)
	}
}

func TestCancelledCall(t *testing.T) {
	toolbox := tools.NewToolbox(tools.Service{}, []tools.Tool{
		declared("waits", func(ctx context.Context, _ tools.Service, _ nothing) (empty, error) { return empty{}, ctx.Err() }),
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := toolbox.Call(ctx, tools.Call{Tool: "waits"}); tools.Explain(err) != "The call was cancelled." {
		t.Errorf("err = %v", err)
	}
}

// The text of wrong arguments may be part of a script or a password: the caller may see it, the log must not.
func TestWrongArgumentsStayOutOfTheLog(t *testing.T) {
	var log strings.Builder
	ctx := zerolog.New(&log).WithContext(t.Context())
	toolbox := tools.NewToolbox(tools.Service{}, tools.All(tools.Mode{}))
	_, err := toolbox.Call(ctx, tools.Call{Tool: "execute_script", Arguments: json.RawMessage(`{"script":["hunter2"],"scope":"hunter2","hunter2":1}`)})
	if !strings.Contains(tools.Explain(err), "hunter2") || strings.Contains(log.String(), "hunter2") || !strings.Contains(log.String(), "arguments are wrong") {
		t.Errorf("error %v; log %s", err, log.String())
	}
}
