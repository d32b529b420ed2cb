package toolbox

import (
	"context"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

type permissionKey struct{}

// stillPermitted asks the policy of this moment about a plan: the caller may have been removed, or narrowed, since it was
// made.
func (b *Toolbox) stillPermitted(t Tool, plan Plan) error {
	policy, err := b.live()
	if err != nil {
		return err
	}
	if err := policy.Offers(t.Name, t.Toolset, t.Risk); err != nil {
		return err
	}
	if policy.Level(t.Name, t.StandardConsent()) != b.rules.Policy.Level(t.Name, t.StandardConsent()) {
		return &guard.Refusal{Rule: guard.CallerRule, Reason: lang.T("the consent that %s needs has changed; begin again", t.Name)}
	}
	return plan.permitted(policy)
}

// withPermission returns the context of an act.
func (b *Toolbox) withPermission(ctx context.Context, t Tool, plan Plan) context.Context {
	return context.WithValue(ctx, permissionKey{}, func() error { return b.stillPermitted(t, plan) })
}

// Permitted reports whether the act that ctx is of may still begin with another target. An act with several targets asks
// before each; what has begun is finished.
func Permitted(ctx context.Context) error {
	if permitted, ok := ctx.Value(permissionKey{}).(func() error); ok {
		return permitted()
	}
	return nil
}
