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
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// foreignService reaches a server that answers every request with body.
func foreignService(t *testing.T, body string) tools.Instances {
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
	return tools.Instances{SCNet: client}
}

type nothing struct{}

type empty struct {
	Names []string `json:"names" jsonschema_description:"Names"`
}

func (empty) Text(lang.Lang) string { return "" }

func declared(name string, run func(context.Context, nothing) (empty, error)) toolbox.Tool {
	return toolbox.Read(toolbox.Tool{Name: name, Title: name, Description: name, Toolset: "test", Risk: guard.Read}, run)
}

func TestFaultsOfOursStayInTheLog(t *testing.T) {
	const inside = "inside of the server"
	box := toolbox.New(toolbox.Rules{}, []toolbox.Tool{
		declared("panics", func(context.Context, nothing) (empty, error) { panic(inside) }),
		declared("breaks_its_schema", func(context.Context, nothing) (empty, error) { return empty{}, nil }),
	})
	for _, tool := range box.Tools() {
		var log strings.Builder
		ctx := zerolog.New(&log).WithContext(t.Context())
		_, err := box.Call(ctx, toolbox.Call{Tool: tool.Name})
		text := toolbox.Explain(lang.English, err)
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

// Only a program that is served lets results out unchecked: whatever makes a toolbox without a word on it checks them.
func TestTrustedResultsAreNotChecked(t *testing.T) {
	broken := declared("breaks_its_schema", func(context.Context, nothing) (empty, error) { return empty{}, nil })
	for _, trusted := range []bool{false, true} {
		box := toolbox.New(toolbox.Rules{TrustResults: trusted}, []toolbox.Tool{broken})
		result, err := box.Call(t.Context(), toolbox.Call{Tool: broken.Name})
		if (err == nil) != trusted || (len(result.Structured) > 0) != trusted {
			t.Errorf("trusted %v: %s, %v", trusted, result.Structured, err)
		}
	}
}

func TestUnknownTool(t *testing.T) {
	box := toolbox.New(toolbox.Rules{}, tools.Instances{}.Tools())
	_, err := box.Call(t.Context(), toolbox.Call{Tool: "list_instance"})
	if !errors.Is(err, toolbox.ErrUnknownTool) || !strings.Contains(toolbox.Explain(lang.English, err), "list_instances") {
		t.Errorf("err = %v", err)
	}
}

func TestCancelledCall(t *testing.T) {
	box := toolbox.New(toolbox.Rules{}, []toolbox.Tool{
		declared("waits", func(ctx context.Context, _ nothing) (empty, error) { return empty{}, ctx.Err() }),
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := box.Call(ctx, toolbox.Call{Tool: "waits"}); toolbox.Explain(lang.English, err) != "The call was cancelled." {
		t.Errorf("err = %v", err)
	}
}

// The text of wrong arguments may be part of a script or a password: the caller may see it, the log must not.
func TestWrongArgumentsStayOutOfTheLog(t *testing.T) {
	var log strings.Builder
	ctx := zerolog.New(&log).WithContext(t.Context())
	box := toolbox.New(toolbox.Rules{}, tools.Instances{}.Tools())
	_, err := box.Call(ctx, toolbox.Call{Tool: "execute_script", Arguments: json.RawMessage(`{"script":["hunter2"],"scope":"hunter2","hunter2":1}`)})
	if !strings.Contains(toolbox.Explain(lang.English, err), "hunter2") || strings.Contains(log.String(), "hunter2") || !strings.Contains(log.String(), "arguments are wrong") {
		t.Errorf("error %v; log %s", err, log.String())
	}
}
