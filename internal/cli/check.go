package cli

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/config"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/redis"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

// checkTimeout bounds one check: the person who waits wants to learn that an answer does not come.
const checkTimeout = 8 * time.Second

// within runs one check. Its error says that the time was up, if it was.
func within[T any](ctx context.Context, check func(context.Context) (T, error)) (T, error) {
	limited, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	found, err := check(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return found, lang.Errorf("%w (%s): %w", errNoAnswer, checkTimeout, err)
	}
	return found, err
}

var errNoAnswer = lang.Errorf("there was no answer in time")

// countInstances asks a region for one instance, which takes the token, the region's address and its service. The count is
// -1 when the service does not tell it.
func countInstances(ctx context.Context, r *scnet.Region) (int, error) {
	page, err := r.List(ctx, scnet.ListOptions{Limit: 1})
	return page.Total, err
}

// countDesktops asks Workspace for one desktop, which takes the keys, the project and the service.
func countDesktops(ctx context.Context, client *workspace.Client) (int, error) {
	page, err := client.Desktops(ctx, workspace.DesktopFilter{Limit: 1})
	return max(page.Total, len(page.Rows)), err
}

// defaultRegion returns the region of calls that do not name one. It returns nil when calls have to name a region, because
// the login works in that case too.
func defaultRegion(ctx context.Context, client *scnet.Client) (*scnet.Region, error) {
	region, err := client.Region(ctx, "")
	var choose *scnet.RegionError
	if errors.As(err, &choose) && choose.Wanted == "" && len(choose.Usable) > 0 {
		return nil, nil
	}
	return region, err
}

// ready asks what calls depend on.
func ready(ctx context.Context, service services, store *redis.Store) error {
	if store != nil {
		if err := store.Ping(ctx); err != nil {
			return err
		}
	}
	if service.SCNet == nil && service.Workspace == nil {
		return service.Unconfigured
	}
	if service.SCNet != nil {
		region, err := defaultRegion(ctx, service.SCNet)
		if err == nil && region != nil {
			_, err = countInstances(ctx, region)
		}
		if err != nil {
			return err
		}
	}
	if service.Workspace != nil {
		_, err := countDesktops(ctx, service.Workspace)
		return err
	}
	return nil
}

// problemsOf takes a configuration's error apart, so that each problem can be told with its own fix.
func problemsOf(err error) []error {
	inner := err
	if said, ok := err.(interface{ Unwrap() error }); ok { // as lang.Errorf makes them
		if _, isOne := err.(*config.Problem); !isOne { //nolint:errorlint // this one, not what it wraps
			inner = said.Unwrap()
		}
	}
	joined, ok := inner.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var problems []error
	for _, one := range joined.Unwrap() {
		if !slices.Contains([]error{scnet.ErrConfig, workspace.ErrConfig}, one) { // which only mark what kind of error it is
			problems = append(problems, problemsOf(one)...)
		}
	}
	return problems
}

// fixOf returns the next step for whoever runs the server, or "". address names the setting that holds the address, if the
// check went to a certain one.
func fixOf(err error, address lang.Text) lang.Text {
	var problem *config.Problem
	var failed *upstream.Failure
	switch {
	case errors.Is(err, upstream.ErrHost) && !address.IsZero():
		return lang.T("The host name does not exist: correct %s, or check this machine's DNS.", address)
	case errors.Is(err, upstream.ErrClosedPort) && !address.IsZero():
		return lang.T("Nothing listens at that address: correct %s, host and port.", address)
	case errors.Is(err, upstream.ErrTLS) && !address.IsZero():
		return lang.T("Check that %s is right. A proxy with a certificate of its own may stand in between.", address)
	case errors.Is(err, errNoAnswer), errors.Is(err, upstream.ErrTimeout):
		if address.IsZero() {
			address = lang.T("the address")
		}
		return lang.T("Check that %s is right, and that no firewall or proxy (HTTPS_PROXY) drops the request.", address)
	case errors.As(err, &problem):
		return problem.Hint()
	case errors.As(err, &failed):
		return lang.T("%s", failed.Hint)
	}
	return lang.Text{}
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
