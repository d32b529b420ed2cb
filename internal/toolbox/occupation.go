package toolbox

import (
	"context"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

// Occupation is what a call would occupy. Set it in the Plan of a call that starts something, or changes how much that will
// take; the frame holds it to the policy's caps when the plan is made and again right before the act. Where the policy limits
// what is occupied at once, acts with an Occupation take turns in one process, so that what an act reads after its turn has
// come stays true until it has sent.
type Occupation struct {
	Accelerators int                                // that the call is about: accelerators × containers
	Starts       int                                // of these, how many are occupied from the call on
	Occupied     func(context.Context) (int, error) // counts the accelerators that are occupied now

	reservation *guard.Reservation
}

// Shows says that what the act has started shows in what Occupied counts, or will not happen. An act should say so as soon
// as it knows, because until then no other call can start anything.
func (o *Occupation) Shows(ctx context.Context) {
	if o == nil || o.reservation == nil {
		return
	}
	if err := o.reservation.End(ctx); err != nil {
		Logger(ctx).Warn().Err(err).Int("accelerators", o.Starts).Msg("a reservation of accelerators stays until its time is over")
	}
	o.reservation = nil
}

// check holds the plan to the caps.
func (o *Occupation) check(ctx context.Context, p guard.Policy) error {
	if o == nil {
		return nil
	}
	if err := p.PermitsAccelerators(o.Accelerators); err != nil || !p.LimitsRunning() {
		return err
	}
	return guard.CheckRunning(ctx, p, 0, o.Starts, o.Occupied)
}

// reserve checks the caps again and reserves what the act is about to occupy.
func (o *Occupation) reserve(ctx context.Context, live guard.Live, accelerators *guard.Accelerators) error {
	if o == nil {
		return nil
	}
	p, err := live()
	if err != nil {
		return err
	}
	if err := p.PermitsAccelerators(o.Accelerators); err != nil || !p.LimitsRunning() {
		return err
	}
	o.reservation, err = accelerators.Reserve(ctx, p, o.Starts, o.Occupied)
	return err
}

// over ends the reservation of an act that is over, or keeps it when something may still come of it.
func (o *Occupation) over(ctx context.Context, nothingComes bool) {
	if o == nil || o.reservation == nil {
		return
	}
	if nothingComes {
		o.Shows(ctx)
		return
	}
	o.reservation.Keep()
	o.reservation = nil
}

// nothingComes reports whether no target can have been changed by an act that ended so.
func nothingComes(err error, targets []Target) bool {
	if err != nil {
		return !Uncertain(err)
	}
	return attempted(targets) == Count(targets, RefusedByService, RejectedByService)
}
