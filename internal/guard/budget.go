package guard

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// budgetWindow is the time over which a Budget counts.
	budgetWindow = time.Hour
	// budgetRule is the Rule of a Budget's refusals.
	budgetRule = "max-mutations-per-hour"
	// maxSpent is more than one second can hold. A greater count in the State is a fault, and its sum could overflow.
	maxSpent = 1 << 31
)

// Ledger is what one process knows of the budgets on a State. Where the State forgets what was spent, or a clock jumps, the
// Ledger does not. It is safe for concurrent use.
type Ledger struct {
	state   State
	now     func() time.Time
	elapsed func() time.Duration

	mu    sync.Mutex
	views map[string]view // by account
}

// NewLedger returns the Ledger of the budgets on state.
func NewLedger(state State, now func() time.Time) *Ledger {
	return &Ledger{state: state, now: now, elapsed: elapsedSince(now), views: map[string]view{}}
}

// Budget limits how many instances are changed per hour. Budgets of one account on one State share what is spent; the clocks
// of their processes must agree. It is safe for concurrent use.
type Budget struct {
	ledger  *Ledger
	account string
	limit   int
}

// Budget returns a Budget of limit changes in any hour for account; limit 0 means DefaultMaxMutationsPerHour.
func (l *Ledger) Budget(account string, limit int) *Budget {
	if limit == 0 {
		limit = DefaultMaxMutationsPerHour
	}
	return &Budget{ledger: l, account: account, limit: limit}
}

// account is what a State keeps for an account. When the State has lost updates, the account is begun anew with another ID,
// and what the processes remember goes to Lost, where the same spending may arrive from several of them.
type account struct {
	ID       string     `json:"id"`
	Revision int64      `json:"revision"` // counts the updates
	Spent    []spending `json:"spent"`
	Lost     []spending `json:"lost,omitempty"`
}

// all returns what was spent, the oldest first.
func (a account) all() []spending {
	spent := slices.Concat(a.Spent, a.Lost)
	slices.SortStableFunc(spent, func(a, b spending) int { return a.at().Compare(b.at()) })
	return spent
}

// recall adds what seen knows and a does not: a has lost the updates that led to seen.
func (a *account) recall(seen account) {
	if a.ID == seen.ID { // an older copy, all of which seen knows
		a.Spent = nil
	}
	var remembered []spending
	for _, s := range seen.all() {
		remembered = add(remembered, s)
	}
	for _, s := range remembered {
		a.Lost = atLeast(a.Lost, s)
	}
	a.ID = rand.Text() // the other processes see it, and add what they know
}

func (a *account) drop(over func(spending) bool) {
	a.Spent, a.Lost = slices.DeleteFunc(a.Spent, over), slices.DeleteFunc(a.Lost, over)
}

// spending is a time in Unix milliseconds and how many changes were taken then.
type spending [2]int64

func (s spending) at() time.Time { return time.UnixMilli(s[0]) }

func (s spending) second() int64 { return s[0] / 1000 }

// view is an account as this process saw it last, and when each second's spending has left the window by elapsed time.
type view struct {
	account account
	ends    map[int64]time.Duration
}

// Receipt is for changes that were taken.
type Receipt struct {
	second int64
	count  int
}

// errOnlyLooked ends an update that was to change nothing.
var errOnlyLooked = errors.New("only looked")

// Room returns nil when count changes could be taken now, and a *Refusal otherwise.
func (b *Budget) Room(ctx context.Context, count int) error {
	err := b.update(ctx, func(a *account) error {
		if err := b.room(a.all(), count); err != nil {
			return err
		}
		return errOnlyLooked
	})
	if errors.Is(err, errOnlyLooked) {
		return nil
	}
	return refusalOf(err)
}

// Take takes count changes, all or none. It returns a *Refusal that says when there will be room, or that the State could
// not be reached.
func (b *Budget) Take(ctx context.Context, count int) (receipt Receipt, err error) {
	err = b.update(ctx, func(a *account) error {
		if err := b.room(a.all(), count); err != nil {
			return err
		}
		taken := spending{b.ledger.now().UnixMilli(), int64(count)}
		receipt = Receipt{taken.second(), count}
		a.Spent = add(a.Spent, taken)
		return nil
	})
	if err != nil {
		return Receipt{}, refusalOf(err)
	}
	return receipt, nil
}

// Return gives back what was taken but not used, also after ctx has ended: count of the changes that receipt is for. Its
// error is for the log: what could not be given back counts as used.
func (b *Budget) Return(ctx context.Context, receipt Receipt, count int) error {
	count = min(count, receipt.count)
	if count <= 0 {
		return nil
	}
	return b.update(context.WithoutCancel(ctx), func(a *account) error {
		back := int64(count)
		for _, spent := range [][]spending{a.Spent, a.Lost} {
			for i, s := range spent {
				if s.second() == receipt.second {
					n := min(back, s[1])
					spent[i][1] -= n
					back -= n
				}
			}
		}
		a.drop(func(s spending) bool { return s[1] == 0 })
		return nil
	})
}

// update hands change what was spent in the last hour. An account is kept also when nothing is spent, so that a missing one is
// known to be lost.
func (b *Budget) update(ctx context.Context, change func(*account) error) error {
	var next account
	err := b.ledger.state.Update(ctx, "spent:"+b.account, budgetWindow+clockSkew, func(old []byte) ([]byte, error) {
		kept, err := parseAccount(old)
		if err != nil {
			return nil, err
		}
		next = b.ledger.current(b.account, kept)
		next.Revision++
		if err := change(&next); err != nil {
			return nil, err
		}
		return json.Marshal(next)
	})
	if err == nil {
		b.ledger.saw(b.account, next)
	}
	return err
}

// parseAccount reads an account. A count that is not positive would make room that
// nobody gave.
func parseAccount(text []byte) (a account, err error) {
	if len(text) == 0 {
		return a, nil
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, fmt.Errorf("the shared budget cannot be read: %w", err)
	}
	for _, s := range a.all() {
		if s[1] <= 0 || s[1] > maxSpent {
			return a, fmt.Errorf("the shared budget cannot be read: the count %d is not between 1 and %d", s[1], maxSpent)
		}
	}
	return a, nil
}

// current returns what counts now: what the State keeps, and what this process saw before the State lost it. What was spent
// counts until it has left the window by the wall clock, and, where it was seen here, by the time that has passed.
func (l *Ledger) current(name string, kept account) account {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := l.views[name]
	switch {
	case seen.account.ID != "" && (kept.ID != seen.account.ID || kept.Revision < seen.account.Revision):
		kept.recall(seen.account)
	case kept.ID == "":
		kept.ID = rand.Text()
	}
	now, elapsed := l.now().Round(0), l.elapsed()
	kept.drop(func(s spending) bool { return now.Sub(s.at()) >= budgetWindow && elapsed >= seen.ends[s.second()] })
	return kept
}

// saw remembers an account.
func (l *Ledger) saw(name string, a account) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, now, elapsed := l.views[name], l.now().Round(0), l.elapsed()
	if before.account.ID == a.ID && before.account.Revision > a.Revision { // another call was faster to get here
		return
	}
	a.Spent, a.Lost = slices.Clone(a.Spent), slices.Clone(a.Lost)
	next := view{account: a, ends: map[int64]time.Duration{}}
	for _, s := range a.all() {
		end := elapsed + min(budgetWindow, budgetWindow-now.Sub(s.at())) // one from the future was spent by now
		next.ends[s.second()] = max(end, before.ends[s.second()])
	}
	l.views[name] = next
}

// add notes a spending. Those of one second share an entry, which bounds how many there are; it has the time of the last, so
// that nothing is forgotten early.
func add(spent []spending, more spending) []spending {
	if more[1] <= 0 {
		return spent
	}
	for i, s := range spent {
		if s.second() == more.second() {
			spent[i] = spending{max(s[0], more[0]), s[1] + more[1]}
			return spent
		}
	}
	return append(spent, more)
}

// atLeast makes sure that no less than known was spent in its second.
func atLeast(spent []spending, known spending) []spending {
	for i, s := range spent {
		if s.second() == known.second() {
			spent[i] = spending{max(s[0], known[0]), max(s[1], known[1])}
			return spent
		}
	}
	return append(spent, known)
}

// room returns nil when count changes fit beside what was spent, the oldest first.
func (b *Budget) room(spent []spending, count int) error {
	wanted, limit := int64(count), int64(b.limit)
	if wanted > limit {
		return refuse(budgetRule, "%d changes in one call; the operator allows %d per hour", wanted, limit)
	}
	used := int64(0)
	for _, s := range spent {
		used += s[1] // cannot overflow: maxSpent
	}
	if used+wanted <= limit {
		return nil
	}
	room := limit - used
	for _, s := range spent {
		if room += s[1]; room >= wanted {
			wait := max(time.Second, budgetWindow-b.ledger.now().Round(0).Sub(s.at()))
			return later(refuse(budgetRule, "the hourly limit of %d changes is reached (%d used, %d wanted); there is room in %s",
				limit, used, wanted, wait.Round(time.Second)))
		}
	}
	return later(refuse(budgetRule, "the hourly limit of %d changes is reached", limit))
}

// later marks a refusal that time lifts.
func later(r *Refusal) *Refusal {
	r.Temporary = true
	return r
}

// refusalOf makes every error a *Refusal: what cannot be counted is not done.
func refusalOf(err error) error {
	var refusal *Refusal
	if err == nil || errors.As(err, &refusal) {
		return err
	}
	return later(&Refusal{Rule: budgetRule, Cause: err,
		Reason: "the shared state cannot be reached, so the hourly limit cannot be checked"})
}
