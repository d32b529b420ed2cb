package tools_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/schemas"
	"github.com/scnet-mcp/scnet-mcp/tools"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

func TestExitStatus(t *testing.T) {
	for name, c := range map[string]struct {
		state string
		err   error
		exit  int
		isErr bool
	}{
		"a read":              {"", nil, tools.ExitDone, false},
		"done":                {"done", nil, tools.ExitDone, false},
		"a preview":           {"confirmation_required", nil, tools.ExitConsent, false},
		"waiting":             {"waiting", nil, tools.ExitWaiting, false},
		"partial":             {"partial", nil, tools.ExitFailed, false},
		"failed":              {"failed", nil, tools.ExitFailed, true},
		"unknown":             {"unknown", nil, tools.ExitFailed, true},
		"a state of tomorrow": {"paused", nil, tools.ExitFailed, false},
		"wrong arguments":     {"", fmt.Errorf("x: %w", &schemas.ArgumentError{}), tools.ExitWrong, false},
		"wrong rules":         {"", &workspace.ArgumentError{}, tools.ExitWrong, false},
		"an unknown tool":     {"", fmt.Errorf("%w: x", tools.ErrUnknownTool), tools.ExitWrong, false},
		"a no":                {"", tools.ErrDeclined, tools.ExitConsent, false},
		"nobody to ask":       {"", &guard.Refusal{Rule: guard.ConsentRule}, tools.ExitConsent, false},
		"refused by policy":   {"", &guard.Refusal{Rule: "protect"}, tools.ExitFailed, false},
		"any other error":     {"", errors.New("x"), tools.ExitFailed, false},
	} {
		r := tools.Result{State: c.state}
		if got := tools.ExitStatus(r, c.err); got != c.exit {
			t.Errorf("%s: exit status %d, want %d", name, got, c.exit)
		}
		if r.IsError() != c.isErr {
			t.Errorf("%s: an error over MCP: %v, want %v", name, r.IsError(), c.isErr)
		}
	}
}
