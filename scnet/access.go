package scnet

import (
	"context"
	"net/http"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/lenient"
)

// ErrNoAccessURL says that an instance has no access URL now: usually because it is not running.
var ErrNoAccessURL = lang.Errorf("the instance has no access address now")

// AccessURL returns the address of an instance's JupyterLab, code server or RStudio (page container/query-url). Whoever has
// it can use the instance, so it is a credential.
func (r *Region) AccessURL(ctx context.Context, id string) (Secret, error) {
	c := call{op: opAccess, region: r, method: http.MethodGet, url: "instance-service/" + id + "/url"}
	if err := c.checkIDs(id); err != nil {
		return Secret{}, err
	}
	env, err := r.do(ctx, c)
	if err != nil {
		return Secret{}, err
	}
	var address text
	_ = lenient.Unmarshal(env.Data, &address) // text never fails
	if address == "" {
		return Secret{}, c.useless(ErrNoAccessURL)
	}
	return NewSecret(string(address)), nil
}
