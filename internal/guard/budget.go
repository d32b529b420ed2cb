package guard

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

const (
	// budgetWindow is the time over which a Budget counts.
	budgetWindow = time.Hour
	// budgetRule is the Rule of a Budget's refusals.
	budgetRule = "max-mutations-per-hour"
	// maxSpent is more than one second can hold. A greater count in the State is a fault, and its sum could overflow.
	maxSpent = 1 << 31
	// settling is how long a process that sees that the State began anew takes nothing, so that the others can add what they
	// know. ShareEvery must leave room in it for a try that fails.
	settling = 10 * time.Second
	// ShareEvery is how often a process that has replicas calls Share.
	ShareEvery = 2 * time.Second
)

// Ledger is what one process knows of the budgets on a State. It is safe for concurrent use.
//
// A State may lose what was spent. Every process remembers what it has seen, adds it again when it next reaches the State,
// with Share at the latest, and takes nothing for some seconds after it saw that the State began anew. So no more than the
// limit is spent in any hour, as long as every process that took something lives and calls Share within these seconds. What
// another process took and can no longer tell is not counted: then a process allows the limit less what it knows, which is
// never more than the limit in an hour for each process. A jump of the wall clock makes no room for what this process has
// seen before.
type Ledger struct {
	state   State
	id      string // of what this process spends
	now     func() time.Time
	elapsed func() time.Duration

	mu        sync.Mutex
	views     map[string]view    // by account
	own       map[string]account // what this process took and did not give back, by account
	epoch     string             // of the State, when it was last seen
	settlesAt time.Duration      // by elapsed
}

// NewLedger returns the Ledger of the budgets on state.
func NewLedger(state State, now func() time.Time) *Ledger {
	return &Ledger{
		state: state, id: rand.Text()[:12], now: now, elapsed: elapsedSince(now),
		views: map[string]view{}, own: map[string]account{},
	}
}

// Share adds to the State what it has lost and this process knows, for each account with something spent. With an error some
// of it was not done.
func (l *Ledger) Share(ctx context.Context) error {
	_, err := l.settled(ctx)
	if refusal := (*Refusal)(nil); errors.As(err, &refusal) {
		err = refusal.Cause // nil while the State settles
	}
	l.mu.Lock()
	var names []string
	for name, seen := range l.views {
		if len(seen.account.Spent) > 0 {
			names = append(names, name)
		}
	}
	l.mu.Unlock()
	for _, name := range names {
		err = errors.Join(err, l.update(ctx, name, func(*account) error { return errOnlyLooked }))
	}
	return err
}

// settled returns the State's epoch, or a *Refusal while others may still have to add what they know.
func (l *Ledger) settled(ctx context.Context) (epoch string, err error) {
	epoch, _, err = l.state.Epoch(ctx)
	if err != nil {
		return "", refusalOf(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.epoch != "" && l.epoch != epoch {
		l.settlesAt = l.elapsed() + settling
	}
	l.epoch = epoch
	if wait := l.settlesAt - l.elapsed(); wait > 0 {
		return "", later(refuse(budgetRule, "the shared state has lost what was spent, and the servers are putting it "+
			"together again; try again in %s", wait.Round(time.Second)))
	}
	return epoch, nil
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

// account is what a State keeps for an account. One that has lost updates, or all of them, goes on with another ID, at which
// every process adds what it knows.
type account struct {
	ID       string     `json:"id"`
	Revision int64      `json:"revision"` // counts the updates
	Spent    []spending `json:"spent"`    // the oldest first
}

// spending is how many changes a process took within a second.
type spending struct {
	By    string `json:"by"`
	At    int64  `json:"at"` // the last of them, in Unix milliseconds
	Count int64  `json:"count"`
}

func (s spending) at() time.Time { return time.UnixMilli(s.At) }

func (s spending) entry() entryOf { return entryOf{s.By, s.At / 1000} }

// entryOf names a spending. Those of one process and second share an entry, which bounds how many there are.
type entryOf struct {
	by     string
	second int64
}

func (a *account) find(e entryOf) int {
	return slices.IndexFunc(a.Spent, func(s spending) bool { return s.entry() == e })
}

func (a *account) sort() {
	slices.SortStableFunc(a.Spent, func(a, b spending) int { return cmp.Compare(a.At, b.At) })
}

// add notes a spending. The entry has the time of the last, so that nothing is forgotten early.
func (a *account) add(more spending) {
	if i := a.find(more.entry()); i >= 0 {
		a.Spent[i].At, a.Spent[i].Count = max(a.Spent[i].At, more.At), a.Spent[i].Count+more.Count
	} else if more.Count > 0 {
		a.Spent = append(a.Spent, more)
	}
	a.sort()
}

// takeBack takes count off an entry, which is gone when nothing is left. It reports whether there is such an entry.
func (a *account) takeBack(e entryOf, count int) (found bool) {
	i := a.find(e)
	if i < 0 {
		return false
	}
	if a.Spent[i].Count -= int64(count); a.Spent[i].Count <= 0 {
		a.Spent = slices.Delete(a.Spent, i, i+1)
	}
	return true
}

// recall adds what seen knows and a does not, and reports whether there was any. It may recall what was given back meanwhile,
// and never too little.
func (a *account) recall(seen account) (recalled bool) {
	for _, s := range seen.Spent {
		i := a.find(s.entry())
		switch {
		case i < 0:
			a.Spent = append(a.Spent, s)
		case a.Spent[i].Count < s.Count || a.Spent[i].At < s.At:
			a.Spent[i].At, a.Spent[i].Count = max(a.Spent[i].At, s.At), max(a.Spent[i].Count, s.Count)
		default:
			continue
		}
		recalled = true
	}
	a.sort()
	return recalled
}

func (a *account) drop(over func(spending) bool) {
	a.Spent = slices.DeleteFunc(slices.Clone(a.Spent), over)
}

// view is an account as this process saw it last, and when each spending has left the window by elapsed time.
type view struct {
	account account
	ends    map[entryOf]time.Duration
}

// Receipt is for changes that were taken.
type Receipt struct {
	entry entryOf
	count int
}

// errOnlyLooked ends an update that was to change nothing.
var errOnlyLooked = errors.New("only looked") // not said to people

// Room returns nil when count changes could be taken now, and a *Refusal otherwise.
func (b *Budget) Room(ctx context.Context, count int) error {
	if _, err := b.ledger.settled(ctx); err != nil {
		return err
	}
	return refusalOf(b.ledger.update(ctx, b.account, func(a *account) error {
		if err := b.room(a.Spent, count); err != nil {
			return err
		}
		return errOnlyLooked
	}))
}

// Take takes count changes, all or none. It returns a *Refusal that says when there will be room, or that the State could
// not be reached. It looks at the epoch once more: the State may have lost what was spent in between.
func (b *Budget) Take(ctx context.Context, count int) (receipt Receipt, err error) {
	epoch, err := b.ledger.settled(ctx)
	if err != nil {
		return Receipt{}, err
	}
	taken := spending{By: b.ledger.id, Count: int64(count)}
	err = b.ledger.update(ctx, b.account, func(a *account) error {
		if err := b.room(a.Spent, count); err != nil {
			return err
		}
		taken.At = b.ledger.now().UnixMilli()
		a.add(taken)
		return nil
	})
	if err != nil {
		return Receipt{}, refusalOf(err)
	}
	receipt = Receipt{taken.entry(), count}
	b.ledger.changeOwn(b.account, func(a *account) { a.add(taken) })
	after, err := b.ledger.settled(ctx)
	if err == nil && after != epoch { // another call has seen the change, and has waited
		err = later(refuse(budgetRule, "the shared state has lost what was spent; try again"))
	}
	if err != nil {
		_ = b.Return(ctx, receipt, count) // what cannot be given back counts as used
		return Receipt{}, err
	}
	return receipt, nil
}

// Return gives back what was taken from this Ledger but not used, also after ctx has ended: count of the changes that receipt
// is for. Its error is for the log: what could not be given back counts as used.
func (b *Budget) Return(ctx context.Context, receipt Receipt, count int) error {
	count = min(count, receipt.count)
	if count <= 0 {
		return nil
	}
	// First what would put it into the State again.
	b.ledger.changeOwn(b.account, func(a *account) { a.takeBack(receipt.entry, count) })
	return b.ledger.update(context.WithoutCancel(ctx), b.account, func(a *account) error {
		if !a.takeBack(receipt.entry, count) {
			return errOnlyLooked
		}
		return nil
	})
}

func (l *Ledger) changeOwn(name string, change func(*account)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.own[name]
	change(&own)
	l.own[name] = own
}

// update hands change what was spent in the last hour. An error of change replaces nothing, but what the State has lost is
// added all the same; errOnlyLooked is not an error. An account is kept also when nothing is spent, so that a missing one is
// known to be lost.
func (l *Ledger) update(ctx context.Context, name string, change func(*account) error) error {
	var next account
	var refused error
	err := l.state.Update(ctx, "budget:"+name, budgetWindow+clockSkew, func(old []byte) ([]byte, error) {
		kept, err := parseAccount(old)
		if err != nil {
			return nil, err
		}
		var recalled bool
		next, recalled = l.current(name, kept)
		if refused = change(&next); refused != nil && !recalled {
			return nil, errOnlyLooked
		}
		next.Revision++
		return json.Marshal(next)
	})
	if err != nil && !errors.Is(err, errOnlyLooked) {
		return err
	}
	l.saw(name, next)
	if errors.Is(refused, errOnlyLooked) {
		return nil
	}
	return refused
}

// parseAccount reads an account. A count that is not positive would make room that nobody gave.
func parseAccount(text []byte) (a account, err error) {
	if len(text) == 0 {
		return a, nil
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, lang.Errorf("the shared budget cannot be read: %w", err)
	}
	for _, s := range a.Spent {
		if s.Count <= 0 || s.Count > maxSpent {
			return a, lang.Errorf("the shared budget cannot be read: the count %d is not between 1 and %d", s.Count, maxSpent)
		}
	}
	a.sort()
	return a, nil
}

// current returns what counts now: what the State keeps, and what this process knows and the State does not, which recalled
// tells. That is all that it saw before the State lost it, and its own in any case: another process, whose wall clock jumped
// before it saw them, may have taken them for over. What was spent counts until it has left the window by the wall clock,
// and, where it was seen here, by the time that has passed.
func (l *Ledger) current(name string, kept account) (current account, recalled bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen, own := l.views[name], l.own[name]
	wall, elapsed := l.now().Round(0), l.elapsed()
	over := func(s spending) bool { return wall.Sub(s.at()) >= budgetWindow && elapsed >= seen.ends[s.entry()] }
	own.drop(over)
	l.own[name] = own

	fresh := kept.ID == "" || (kept.ID == seen.account.ID && kept.Revision < seen.account.Revision)
	if seen.account.ID != "" && (fresh || kept.ID != seen.account.ID) {
		kept.recall(seen.account)
		recalled = true
	}
	recalled = kept.recall(own) || recalled
	if fresh {
		kept.ID = rand.Text() // the other processes see it, and add what they know
	}
	kept.drop(over)
	return kept, recalled
}

// saw remembers an account.
func (l *Ledger) saw(name string, a account) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, now, elapsed := l.views[name], l.now().Round(0), l.elapsed()
	if before.account.ID == a.ID && before.account.Revision > a.Revision { // another call was faster to get here
		return
	}
	a.Spent = slices.Clone(a.Spent)
	next := view{account: a, ends: map[entryOf]time.Duration{}}
	for _, s := range a.Spent {
		end := elapsed + min(budgetWindow, budgetWindow-now.Sub(s.at())) // one from the future was spent by now
		next.ends[s.entry()] = max(end, before.ends[s.entry()])
	}
	l.views[name] = next
}

// room returns nil when count changes fit beside what was spent, the oldest first.
func (b *Budget) room(spent []spending, count int) error {
	wanted, limit := int64(count), int64(b.limit)
	if wanted > limit {
		return refuse(budgetRule, "%d changes in one call; the operator allows %d per hour", wanted, limit)
	}
	used := int64(0)
	for _, s := range spent {
		used += s.Count // cannot overflow: maxSpent
	}
	if used+wanted <= limit {
		return nil
	}
	room := limit - used
	for _, s := range spent {
		if room += s.Count; room >= wanted {
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
		Reason: lang.T("the shared state cannot be reached, so the hourly limit cannot be checked")})
}
