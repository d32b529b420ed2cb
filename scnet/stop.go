package scnet

import (
	"context"
	"net/http"
	"net/url"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// MaxStopIDs is how many ids one Stop takes, for the reason of MaxDeleteIDs.
const MaxStopIDs = MaxDeleteIDs

// Stop ends up to MaxStopIDs active instances and keeps them, so that they can be started again. SCNet has no page on it;
// path and parameters are those that clients send. There is no result per id and no documented refusal of its own: look
// afterwards what has stopped.
func (r *Region) Stop(ctx context.Context, ids ...string) error {
	c := call{
		op: opStop, region: r, method: http.MethodPost, write: true,
		url:    instancesPath + "/actions/stop?" + url.Values{"ids": ids}.Encode(),
		settle: upstream.Text{English: "The instances' statuses show it.", Chinese: "请以实例的状态为准。"},
	}
	if len(ids) == 0 || len(ids) > MaxStopIDs {
		return c.invalid(lang.Errorf("%d ids; 1 to %d go in one call", len(ids), MaxStopIDs))
	}
	if err := c.checkIDs(ids...); err != nil {
		return err
	}
	_, err := r.do(ctx, c)
	return err
}
