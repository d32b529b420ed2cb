package scnet_test

import (
	"net/http"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream/hostile"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

func TestWritesLeaveAtMostOnce(t *testing.T) {
	var writes []hostile.Write
	for _, op := range operations {
		if !op.write {
			continue
		}
		writes = append(writes, hostile.Write{Name: op.name, Do: func(t *testing.T, url string, transport *http.Transport) bool {
			client, err := scnet.New(scnet.Config{Token: scnet.NewSecret("t"), AIURL: url, Transport: transport})
			if err != nil {
				t.Fatal(err)
			}
			return asError(t, op.run(t.Context(), pick(t, client, ""))).Uncertain
		}})
	}
	hostile.AtMostOnce(t, upstream.NewTransport, writes)
}
