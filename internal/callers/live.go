package callers

import (
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// Live returns the policy of a caller as the file says it at any time, to narrow the operator's by. Once the file no longer
// names the caller, or names a token with another digest, it returns a *guard.Refusal instead: a call that was begun with the
// old token must not go on.
func (f *File) Live(name, digest string) guard.Live {
	return func() (guard.Policy, error) {
		for _, c := range f.Table().callers {
			switch {
			case c.Name != name:
			case c.Digest != digest:
				return guard.Policy{}, revoked("the token of caller %s has been replaced", name)
			default:
				return c.Policy, nil
			}
		}
		return guard.Policy{}, revoked("caller %s has been removed", name)
	}
}

func revoked(format, name string) error {
	return &guard.Refusal{Rule: guard.CallerRule, Reason: lang.T(format, name)}
}
