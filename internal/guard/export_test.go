package guard

import (
	"time"
)

// SetElapsed gives m a clock of the time that has passed, apart from its wall clock.
func SetElapsed(m *Memory, elapsed func() time.Duration) { m.elapsed = elapsed }

// SetLedgerElapsed is SetElapsed for a Ledger.
func SetLedgerElapsed(l *Ledger, elapsed func() time.Duration) { l.elapsed = elapsed }

// SetTokensElapsed is SetElapsed for what Tokens remember themselves.
func SetTokensElapsed(t *Tokens, elapsed func() time.Duration) { t.spent.elapsed = elapsed }
