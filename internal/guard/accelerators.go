package guard

import (
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
	// acceleratorsRule and runningRule are the Rules of refusals because the policy does not allow that many accelerators.
	acceleratorsRule = "max-accelerators"
	runningRule      = "max-running-accelerators"

	// reservationsKey is what reservations are kept under in a State.
	reservationsKey = "accelerators"
	// reservationTime is how long a reservation counts that nobody has ended: what was started must show by then.
	reservationTime = 10 * time.Minute
	// maxReserved is more than any account has. A greater count in the State is a fault, and its sum could overflow.
	maxReserved = 1 << 31
)

// PermitsAccelerators returns nil when one call may be about that many accelerators, and a *Refusal otherwise.
func (p Policy) PermitsAccelerators(count int) error {
	return p.each(func(p Policy) error {
		if p.MaxAccelerators > 0 && count > p.MaxAccelerators {
			return refuse(acceleratorsRule, "%d accelerators in one call; %s allows %d", count, p.owner(), p.MaxAccelerators)
		}
		return nil
	})
}

// LimitsRunning reports whether the policy, or one that narrows it, limits the accelerators that are occupied at once.
func (p Policy) LimitsRunning() bool {
	return p.each(func(p Policy) error {
		if p.MaxRunningAccelerators > 0 {
			return errLimited
		}
		return nil
	}) != nil
}

var errLimited = errors.New("limited")

// PermitsRunning returns nil when a call may occupy wanted accelerators beside those that are occupied already and those that
// other calls are about to occupy, and a *Refusal otherwise.
func (p Policy) PermitsRunning(occupied, coming, wanted int) error {
	return p.each(func(p Policy) error {
		limit := p.MaxRunningAccelerators
		switch {
		case limit <= 0 || wanted <= 0 || occupied+coming+wanted <= limit:
			return nil
		case wanted > limit:
			return refuse(runningRule, "this call would occupy %d accelerators; %s allows %d at once", wanted, p.owner(), limit)
		case coming > 0:
			return later(refuse(runningRule, "%d accelerators are occupied or queued for, other calls are about to occupy %d, "+
				"and this call would add %d; %s allows %d at once", occupied, coming, wanted, p.owner(), limit))
		}
		return later(refuse(runningRule, "%d accelerators are occupied or queued for, and this call would add %d; "+
			"%s allows %d at once; stopping an instance makes room", occupied, wanted, p.owner(), limit))
	})
}

// Accelerators holds what is started to the policy's limit on occupied accelerators. What has just been started does not show
// in the service's list at once, so every start is reserved in a State, where replicas see it too, and in one process the
// starts take turns. It is safe for concurrent use.
type Accelerators struct {
	state State
	now   func() time.Time
	turn  chan struct{}
}

// NewAccelerators returns an Accelerators with its reservations in state.
func NewAccelerators(state State, now func() time.Time) *Accelerators {
	return &Accelerators{state: state, now: now, turn: make(chan struct{}, 1)}
}

// Reservation is for accelerators that a call is about to occupy, and the call's turn.
type Reservation struct {
	of   *Accelerators
	id   string
	once sync.Once // gives the turn to the next call
}

// reserved is a Reservation as a State keeps it.
type reserved struct {
	ID    string `json:"id"`
	Count int    `json:"count"`
	Until int64  `json:"until"` // Unix milliseconds
}

// Reserve waits for its turn, reserves wanted accelerators, asks how many are occupied, and holds all that to the policy. Its
// error is a *Refusal, also when the accelerators cannot be counted, or that of ctx. Whoever gets a Reservation must end it.
//
// The reservation is made before the question, so that of two calls in two replicas at least the later one knows of the
// other: by its reservation, or, when that has ended, by what shows in the list.
func (a *Accelerators) Reserve(
	ctx context.Context, p Policy, wanted int, occupied func(context.Context) (int, error),
) (*Reservation, error) {
	select {
	case a.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	r := &Reservation{of: a, id: rand.Text()}
	coming, err := a.add(ctx, reserved{r.id, wanted, a.now().Add(reservationTime).UnixMilli()})
	if err != nil {
		r.pass()
		return nil, later(&Refusal{Rule: runningRule, Cause: err,
			Reason: lang.T("the shared state cannot be reached, so the limit on occupied accelerators cannot be checked")})
	}
	if err := CheckRunning(ctx, p, coming, wanted, occupied); err != nil {
		_ = r.End(ctx) // what cannot be taken back runs out by itself
		return nil, err
	}
	return r, nil
}

// CheckRunning asks how many accelerators are occupied and holds a call to the policy. Its error is a *Refusal. A call that
// starts nothing needs no count.
func CheckRunning(ctx context.Context, p Policy, coming, wanted int, occupied func(context.Context) (int, error)) error {
	if wanted == 0 {
		return nil
	}
	n, err := occupied(ctx)
	if err != nil {
		return later(&Refusal{Rule: runningRule, Cause: err,
			Reason: lang.T("the occupied accelerators cannot be counted, so their limit cannot be checked: %v", err)})
	}
	return p.PermitsRunning(n, coming, wanted)
}

// add reserves, and returns how many accelerators others have reserved before.
func (a *Accelerators) add(ctx context.Context, mine reserved) (coming int, err error) {
	err = a.update(ctx, func(all []reserved) []reserved {
		coming = 0
		for _, r := range all {
			coming += r.Count
		}
		return append(all, mine)
	})
	return coming, err
}

// update hands change the reservations that have not expired.
func (a *Accelerators) update(ctx context.Context, change func([]reserved) []reserved) error {
	return a.state.Update(ctx, reservationsKey, reservationTime+clockSkew, func(old []byte) ([]byte, error) {
		var all []reserved
		if len(old) > 0 {
			if err := json.Unmarshal(old, &all); err != nil {
				return nil, lang.Errorf("the reservations cannot be read: %w", err)
			}
		}
		for _, r := range all {
			if r.Count < 0 || r.Count > maxReserved { // it would make room that nobody gave
				return nil, lang.Errorf("the reservations cannot be read: the count %d is not between 0 and %d", r.Count, maxReserved)
			}
		}
		all = change(slices.DeleteFunc(all, func(r reserved) bool { return a.now().UnixMilli() >= r.Until }))
		if len(all) == 0 {
			return nil, nil
		}
		return json.Marshal(all)
	})
}

// End ends the reservation: what it was for shows in the list by now, or will not happen. It works also after ctx has ended.
// Its error is for the log: the reservation counts until its time is over.
func (r *Reservation) End(ctx context.Context) error {
	defer r.pass()
	ctx = context.WithoutCancel(ctx)
	return r.of.update(ctx, func(all []reserved) []reserved {
		return slices.DeleteFunc(all, func(other reserved) bool { return other.ID == r.id })
	})
}

// Keep gives the turn to the next call, which counts the reservation: nobody knows yet whether what it was for happens.
func (r *Reservation) Keep() { r.pass() }

func (r *Reservation) pass() { r.once.Do(func() { <-r.of.turn }) }
