package tools_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/schemas"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

func TestExitStatus(t *testing.T) {
	for name, c := range map[string]struct {
		state toolbox.State
		err   error
		exit  int
		isErr bool
	}{
		"a read":              {"", nil, toolbox.ExitDone, false},
		"done":                {"done", nil, toolbox.ExitDone, false},
		"a preview":           {"confirmation_required", nil, toolbox.ExitConsent, false},
		"waiting":             {"waiting", nil, toolbox.ExitWaiting, false},
		"partial":             {"partial", nil, toolbox.ExitFailed, false},
		"failed":              {"failed", nil, toolbox.ExitFailed, true},
		"unknown":             {"unknown", nil, toolbox.ExitFailed, true},
		"a state of tomorrow": {"paused", nil, toolbox.ExitFailed, false},
		"wrong arguments":     {"", fmt.Errorf("x: %w", &schemas.ArgumentError{}), toolbox.ExitWrong, false},
		"wrong rules":         {"", &workspace.ArgumentError{}, toolbox.ExitWrong, false},
		"an unknown tool":     {"", fmt.Errorf("%w: x", toolbox.ErrUnknownTool), toolbox.ExitWrong, false},
		"a no":                {"", toolbox.ErrDeclined, toolbox.ExitConsent, false},
		"nobody to ask":       {"", &guard.Refusal{Rule: guard.ConsentRule}, toolbox.ExitConsent, false},
		"refused by policy":   {"", &guard.Refusal{Rule: "protect"}, toolbox.ExitFailed, false},
		"any other error":     {"", errors.New("x"), toolbox.ExitFailed, false},
	} {
		r := toolbox.Result{State: c.state}
		if got := toolbox.ExitStatus(r, c.err); got != c.exit {
			t.Errorf("%s: exit status %d, want %d", name, got, c.exit)
		}
		if r.IsError() != c.isErr {
			t.Errorf("%s: an error over MCP: %v, want %v", name, r.IsError(), c.isErr)
		}
	}
}
