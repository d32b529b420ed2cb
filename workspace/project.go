package workspace

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/lenient"
	clean "github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// projectID returns the configured project, or the one that IAM lists under the region's name (operation
// KeystoneListProjects). It is looked up once; a failed look-up is tried again by the next call.
func (c *Client) projectID(ctx context.Context) (string, error) {
	const op = "look up the project"
	if id := c.knownProject(); id != "" {
		return id, nil
	}
	select {
	case c.lookup <- struct{}{}:
		defer func() { <-c.lookup }()
	case <-ctx.Done():
		return "", (&call{op: op}).fail(Error{Kind: upstream.Cancelled, Err: context.Cause(ctx)})
	}
	if id := c.knownProject(); id != "" { // another call has found it while this one waited
		return id, nil
	}
	call := &call{op: op, method: http.MethodGet, query: url.Values{"name": {c.cfg.Region}}}
	resp, err := c.exchange(ctx, call, c.cfg.IAMEndpoint+"/v3/projects", http.Header{})
	if err != nil {
		var e *Error
		if errors.As(err, &e) && errors.Is(e.Err, ErrDenied) { // keys that may use a project need not be able to list it
			e.Err, e.Hint = lang.Errorf("%w: %w", ErrProject, e.Err), upstream.Text{}
			e.Advise(upstream.Text{}, hints)
		}
		return "", err
	}
	fail := func(cause error) (string, error) {
		kind := upstream.Setup
		if errors.Is(cause, ErrMalformed) {
			kind = upstream.Malformed
		}
		return "", call.fail(Error{Kind: kind, Delivery: upstream.Answered, Status: resp.Status, Err: cause})
	}
	var answer struct {
		Projects *list[struct {
			ID   text `json:"id"`
			Name text `json:"name"`
		}] `json:"projects"`
	}
	if lenient.Unmarshal(resp.Body, &answer) != nil || answer.Projects == nil {
		return fail(ErrMalformed)
	}
	projects := *answer.Projects
	switch {
	case len(projects) == 0:
		return fail(lang.Errorf("%w: IAM lists none with the name %s for these keys", ErrProject, c.cfg.Region))
	case len(projects) > 1:
		var names []string
		for _, p := range projects[:min(len(projects), 5)] {
			names = append(names, clean.Line(fmt.Sprintf("%s (%s)", p.Name, p.ID), 100))
		}
		return fail(lang.Errorf("%w: IAM lists %d: %s", ErrProject, len(projects), strings.Join(names, ", ")))
	case !clean.IsID(string(projects[0].ID)):
		return fail(ErrMalformed)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.project = string(projects[0].ID)
	return c.project, nil
}

func (c *Client) knownProject() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.project
}
