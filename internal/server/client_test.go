package server

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

// attach connects mcp-go's client to a running server over pipes.
func attach(t *testing.T, s *Server, version string) (c *client.Client, ended <-chan error) {
	t.Helper()
	inReader, inWriter := io.Pipe()
	outReader, outWriter := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- s.ServeStdio(context.Background(), inReader, outWriter, DefaultGrace)
		_ = outWriter.Close()
	}()
	c = client.NewClient(transport.NewIO(outReader, inWriter, io.NopCloser(bytes.NewReader(nil))))
	t.Cleanup(func() { _ = c.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	var request mcp.InitializeRequest
	request.Params.ProtocolVersion = version
	request.Params.ClientInfo = mcp.Implementation{Name: "test", Version: "1"}
	result, err := c.Initialize(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	if result.ProtocolVersion != version || result.ServerInfo.Name != "fake" || !strings.HasPrefix(result.Instructions, fakeInstructions) {
		t.Errorf("%s: %+v", version, result)
	}
	return c, done
}

func TestSession(t *testing.T) {
	for _, version := range append([]string{"2026-07-28"}, legacyVersions...) {
		t.Run(version, func(t *testing.T) {
			c, ended := attach(t, newFakes().newServer(io.Discard), version)
			var mu sync.Mutex
			progress := 0
			c.OnNotification(func(n mcp.JSONRPCNotification) {
				mu.Lock()
				defer mu.Unlock()
				if n.Method == "notifications/progress" {
					progress++
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			list, err := c.ListTools(ctx, mcp.ListToolsRequest{})
			if err != nil || len(list.Tools) != len(newFakes().tools()) {
				t.Fatalf("%v, %v", list, err)
			}
			var request mcp.CallToolRequest
			request.Params.Name, request.Params.Arguments = "steps", map[string]any{"n": 100}
			request.Params.Meta = &mcp.Meta{ProgressToken: "p"}
			result, err := c.CallTool(ctx, request)
			if err != nil || result.IsError || result.StructuredContent == nil {
				t.Fatalf("%+v, %v", result, err)
			}
			mu.Lock()
			if progress < 100 {
				t.Errorf("%d notifications before the result", progress)
			}
			mu.Unlock()
			request.Params.Name, request.Params.Arguments, request.Params.Meta = "fail", nil, nil
			if result, err = c.CallTool(ctx, request); err != nil || !result.IsError || result.StructuredContent != nil {
				t.Errorf("%+v, %v", result, err)
			}
			request.Params.Name = "nothing"
			if result, err = c.CallTool(ctx, request); err == nil {
				t.Errorf("%+v", result)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if err := receive(t, ended); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestClient(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := StartClient(ctx, "test", "1", program, []string{serveVariable + "=1"}, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if c.Server != "fake 1.2.3" || c.Version != "2026-07-28" {
		t.Errorf("%s, %s", c.Server, c.Version)
	}
	names, err := c.ListTools(ctx)
	if err != nil || !slices.Contains(names, "echo") || len(names) != len(newFakes().tools()) {
		t.Errorf("%q, %v", names, err)
	}
	reply, err := c.CallTool(ctx, "echo", map[string]any{"text": "a", "n": 1})
	if err != nil || reply.IsError || reply.Text != "a 1" || string(reply.Structured) != `{"echo":"a","n":1}` {
		t.Errorf("%+v, %v", reply, err)
	}
	reply, err = c.CallTool(ctx, "panic", nil)
	if err != nil || !reply.IsError || reply.Structured != nil {
		t.Errorf("%+v, %v", reply, err)
	}
	if _, err = c.CallTool(ctx, "nothing", nil); err == nil {
		t.Error("no error")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestClientOfNothing(t *testing.T) {
	if _, err := StartClient(t.Context(), "test", "1", filepath.Join(t.TempDir(), "nothing"), nil, nil, io.Discard); err == nil {
		t.Error("no error")
	}
}

// What a client gives up on ends at the server too.
func TestSessionCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes()
		c, ended := attach(t, f.newServer(io.Discard), "2025-11-25")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var request mcp.CallToolRequest
		request.Params.Name = "wait"
		if _, err := c.CallTool(ctx, request); err == nil {
			t.Error("no error")
		}
		if err := receive(t, f.ended); err == nil {
			t.Error("the call was not cancelled")
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := receive(t, ended); err != nil {
			t.Error(err)
		}
	})
}
