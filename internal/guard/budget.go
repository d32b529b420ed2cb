package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// budgetWindow is the time over which a Budget counts.
	budgetWindow = time.Hour
	// budgetRule is the Rule of a Budget's refusals.
	budgetRule = "max-mutations-per-hour"
)

// Budget limits how many instances are changed per hour. Budgets of one account on one State share what is spent; the clocks
// of their processes must agree. It is safe for concurrent use.
type Budget struct {
	key   string
	limit int
	state State
	now   func() time.Time
}

// spending is a time in Unix milliseconds and how many changes were taken then.
type spending [2]int64

func (s spending) at() time.Time { return time.UnixMilli(s[0]) }

func (s spending) second() int64 { return s[0] / 1000 }

// NewBudget returns a Budget of limit changes in any hour for account; limit 0 means DefaultMaxMutationsPerHour.
func NewBudget(account string, limit int, state State, now func() time.Time) *Budget {
	if limit == 0 {
		limit = DefaultMaxMutationsPerHour
	}
	return &Budget{key: "budget:" + account, limit: limit, state: state, now: now}
}

// errOnlyLooked ends an update that was to change nothing.
var errOnlyLooked = errors.New("only looked")

// Room returns nil when count changes could be taken now, and a *Refusal otherwise.
func (b *Budget) Room(ctx context.Context, count int) error {
	err := b.update(ctx, func(spent []spending) ([]spending, error) {
		if err := b.room(spent, count); err != nil {
			return nil, err
		}
		return nil, errOnlyLooked
	})
	if errors.Is(err, errOnlyLooked) {
		return nil
	}
	return refusalOf(err)
}

// Take takes count changes, all or none. It returns a *Refusal that says when there will be room, or that the State could
// not be reached.
func (b *Budget) Take(ctx context.Context, count int) error {
	return refusalOf(b.update(ctx, func(spent []spending) ([]spending, error) {
		if err := b.room(spent, count); err != nil {
			return nil, err
		}
		return b.add(spent, count), nil
	}))
}

// Return gives back what was taken but not used, also after ctx has ended. Its error is for the log: what could not be given
// back counts as used.
func (b *Budget) Return(ctx context.Context, count int) error {
	if count <= 0 {
		return nil
	}
	return b.update(context.WithoutCancel(ctx), func(spent []spending) ([]spending, error) {
		back := int64(count)
		for i := len(spent) - 1; i >= 0 && back > 0; i-- {
			n := min(back, spent[i][1])
			spent[i][1] -= n
			back -= n
		}
		return slices.DeleteFunc(spent, func(s spending) bool { return s[1] == 0 }), nil
	})
}

// update hands change what was spent in the last hour, the oldest first.
func (b *Budget) update(ctx context.Context, change func([]spending) ([]spending, error)) error {
	return b.state.Update(ctx, b.key, budgetWindow+clockSkew, func(old []byte) ([]byte, error) {
		spent, err := parseSpent(old)
		if err != nil {
			return nil, err
		}
		now := b.now()
		spent = slices.DeleteFunc(spent, func(s spending) bool { return now.Sub(s.at()) >= budgetWindow })
		if spent, err = change(spent); err != nil || len(spent) == 0 {
			return nil, err
		}
		return json.Marshal(spent)
	})
}

// parseSpent reads a list of spendings. A count that is not positive would make room that nobody gave.
func parseSpent(text []byte) (spent []spending, err error) {
	if len(text) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(text, &spent); err != nil {
		return nil, fmt.Errorf("the shared budget cannot be read: %w", err)
	}
	for _, s := range spent {
		if s[1] <= 0 {
			return nil, fmt.Errorf("the shared budget cannot be read: %d is no number of changes", s[1])
		}
	}
	slices.SortStableFunc(spent, func(a, b spending) int { return a.at().Compare(b.at()) })
	return spent, nil
}

// add notes count changes. Those of one second share an entry, which bounds how many there are; it has the time of the last,
// so that nothing is forgotten early.
func (b *Budget) add(spent []spending, count int) []spending {
	if count <= 0 {
		return spent
	}
	now := spending{b.now().UnixMilli(), int64(count)}
	for i, s := range spent {
		if s.second() == now.second() {
			spent[i] = spending{max(s[0], now[0]), s[1] + now[1]}
			return spent
		}
	}
	return append(spent, now)
}

// room returns nil when count changes fit beside what was spent.
func (b *Budget) room(spent []spending, count int) error {
	used, wanted, limit := int64(0), int64(count), int64(b.limit)
	for _, s := range spent {
		used += s[1]
	}
	if used+wanted <= limit {
		return nil
	}
	if wanted > limit {
		return refuse(budgetRule, "%d changes in one call; the operator allows %d per hour", wanted, limit)
	}
	room := limit - used
	for _, s := range spent {
		if room += s[1]; room >= wanted {
			wait := budgetWindow - b.now().Sub(s.at())
			return refuse(budgetRule, "the hourly limit of %d changes is reached (%d used, %d wanted); there is room in %s",
				limit, used, wanted, wait.Round(time.Second))
		}
	}
	return refuse(budgetRule, "the hourly limit of %d changes is reached", limit)
}

// refusalOf makes every error a *Refusal: what cannot be counted is not done.
func refusalOf(err error) error {
	var refusal *Refusal
	if err == nil || errors.As(err, &refusal) {
		return err
	}
	return &Refusal{Rule: budgetRule, Cause: err,
		Reason: "the state that the replicas of this server share cannot be reached, so the hourly limit cannot be checked, " +
			"and nothing was changed"}
}
