package workspace_test

import (
	"net/http"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream/hostile"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

func TestWritesLeaveAtMostOnce(t *testing.T) {
	var writes []hostile.Write
	for _, op := range operations {
		if !op.write {
			continue
		}
		writes = append(writes, hostile.Write{Name: op.name, Do: func(t *testing.T, url string, transport *http.Transport) bool {
			client, err := workspace.New(workspace.Config{
				AccessKey: workspace.NewSecret("a"), SecretKey: workspace.NewSecret("s"), ProjectID: "p",
				Endpoint: url, Transport: transport,
			})
			if err != nil {
				t.Fatal(err)
			}
			return asError(t, op.run(t.Context(), client, "task", "record")).Uncertain
		}})
	}
	hostile.AtMostOnce(t, upstream.NewTransport, writes)
}
