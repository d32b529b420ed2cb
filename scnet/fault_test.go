package scnet_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// done reports whether op has had its effect.
func done(sim *simulator.Simulator, op operation) bool {
	switch op.endpoint {
	case simulator.EndpointRestart:
		return sim.Instances(kunshan)[0].Status != simulator.Terminated
	case simulator.EndpointDelete:
		return len(sim.Instances(kunshan)) == 1
	case simulator.EndpointStop:
		return sim.Instances(kunshan)[1].Status == simulator.Terminated
	case simulator.EndpointCreate:
		return len(sim.Instances(kunshan)) == 3
	case simulator.EndpointResize:
		return sim.Instances(kunshan)[0].CPUNumber == 4
	}
	return len(sim.Scripts()) > 0
}

func TestMisbehaviour(t *testing.T) {
	t.Parallel()
	elsewhere := fakecloudtest.Elsewhere(t)
	const short = 400 * time.Millisecond
	for name, c := range map[string]struct {
		fault     simulator.Fault
		deadline  bool
		delivery  upstream.Delivery
		status    int
		cause     error // nil for any
		list      int   // requests of a list; 0 as reads
		reads     int
		retryable bool // reads
		certain   bool // a write has certainly not happened
		happens   bool // a write happens all the same
		writeMay  bool // a write may be repeated by the caller
	}{
		"slow":               {fault: simulator.Fault{Latency: time.Minute}, deadline: true, delivery: upstream.Unknown, cause: context.DeadlineExceeded, reads: 1, retryable: true},
		"hangs":              {fault: simulator.Fault{HangAfter: true}, deadline: true, delivery: upstream.Unknown, cause: context.DeadlineExceeded, reads: 1, retryable: true, happens: true},
		"reset before":       {fault: simulator.Fault{Reset: true}, delivery: upstream.Unknown, list: 5, reads: 3, retryable: true},
		"reset after":        {fault: simulator.Fault{ResetAfter: true}, delivery: upstream.Unknown, list: 5, reads: 3, retryable: true, happens: true},
		"429":                {fault: simulator.Fault{Status: 429}, delivery: upstream.Answered, status: 429, reads: 3, retryable: true, certain: true, writeMay: true},
		"429 for an hour":    {fault: simulator.Fault{Status: 429, RetryAfter: "3600"}, delivery: upstream.Answered, status: 429, reads: 1, retryable: true, certain: true, writeMay: true},
		"502":                {fault: simulator.Fault{Status: 502}, delivery: upstream.Answered, status: 502, reads: 3, retryable: true},
		"503":                {fault: simulator.Fault{Status: 503}, delivery: upstream.Answered, status: 503, reads: 3, retryable: true},
		"504":                {fault: simulator.Fault{Status: 504, HTML: true}, delivery: upstream.Answered, status: 504, reads: 3, retryable: true},
		"500":                {fault: simulator.Fault{Status: 500}, delivery: upstream.Answered, status: 500, cause: scnet.ErrMalformed, reads: 1},
		"403":                {fault: simulator.Fault{Status: 403}, delivery: upstream.Answered, status: 403, cause: scnet.ErrMalformed, reads: 1},
		"404":                {fault: simulator.Fault{Status: 404, HTML: true}, delivery: upstream.Answered, status: 404, cause: scnet.ErrNoContainers, list: 3, reads: 1, certain: true},
		"HTML 502":           {fault: simulator.Fault{HTML: true}, delivery: upstream.Answered, status: 502, reads: 3, retryable: true},
		"HTML 200":           {fault: simulator.Fault{HTML: true, Status: 200}, delivery: upstream.Answered, status: 200, cause: scnet.ErrMalformed, list: 3, reads: 1},
		"code as int":        {fault: simulator.Fault{Code: "10004", Own: simulator.OwnFault{CodeAsInt: true}}, delivery: upstream.Answered, status: 200, list: 3, reads: 1, certain: true},
		"truncated":          {fault: simulator.Fault{Truncate: true}, delivery: upstream.Answered, status: 200, cause: scnet.ErrMalformed, list: 3, reads: 1, happens: true},
		"redirect":           {fault: simulator.Fault{Redirect: elsewhere + "/login"}, delivery: upstream.Answered, status: 307, cause: scnet.ErrRedirect, reads: 1},
		"permanent redirect": {fault: simulator.Fault{Redirect: elsewhere, Status: 301}, delivery: upstream.Answered, status: 301, cause: scnet.ErrRedirect, reads: 1},
		"huge":               {fault: simulator.Fault{Huge: 17 << 20}, delivery: upstream.Unknown, cause: upstream.ErrTooLarge, reads: 1, happens: true},
	} {
		for _, op := range operations {
			t.Run(name+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				// ListAny, so that every list variant reaches the faulty operation.
				sim, r := open(t, simulator.Options{Quirks: simulator.Quirks{ListForm: simulator.ListAny}})
				if _, err := r.Address(t.Context()); err != nil {
					t.Fatal(err)
				}
				fault := c.fault
				fault.Endpoint = op.endpoint
				sim.Inject(fault)
				ctx := t.Context()
				if c.deadline {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, short)
					defer cancel()
				}
				err := op.run(ctx, r)
				e := asError(t, err)
				if e.Delivery != c.delivery || e.Status != c.status || c.cause != nil && !errors.Is(err, c.cause) {
					t.Errorf("%v, delivery %s, status %d; want %s, %d, %v", err, e.Delivery, e.Status, c.delivery, c.status, c.cause)
				}
				if e.Op == "" || e.Place == "" || e.Endpoint == "" || strings.Contains(err.Error(), elsewhere) {
					t.Errorf("err = %+v", e)
				}
				if wait := c.fault.RetryAfter != ""; wait != (e.RetryAfter == time.Hour) || wait && !strings.Contains(e.Hint.English, "1h0m0s") {
					t.Errorf("retry after %s, hint %q", e.RetryAfter, e.Hint.English)
				}
				if !op.write {
					want := c.reads
					if op.name == "list" && c.list > 0 {
						want = c.list
					}
					fakecloudtest.Settle(t, op.name, want, func() int { return len(sent(sim, op.endpoint)) })
					if e.Retryable != c.retryable || e.Uncertain {
						t.Errorf("retryable %v, uncertain %v", e.Retryable, e.Uncertain)
					}
					return
				}
				fakecloudtest.Settle(t, op.name, 1, func() int { return len(sent(sim, op.endpoint)) })
				if e.Uncertain == c.certain || e.Retryable != c.writeMay {
					t.Errorf("uncertain %v, retryable %v", e.Uncertain, e.Retryable)
				}
				if done(sim, op) != c.happens {
					t.Errorf("happened: %v", done(sim, op))
				}
			})
		}
	}
}

func TestPassingTroubleIsHiddenFromReads(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]simulator.Fault{
		"reset": {Reset: true}, "reset after": {ResetAfter: true}, "503": {Status: 503}, "429 at once": {Status: 429, RetryAfter: "0"},
	} {
		for _, op := range operations[:2] {
			t.Run(name+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				sim, r := open(t, simulator.Options{})
				fault.Endpoint, fault.Times = op.endpoint, 2
				sim.Inject(fault)
				if err := op.run(t.Context(), r); err != nil {
					t.Error(err)
				}
				wantSent(t, sim, op.endpoint, 3)
			})
		}
	}
}

func TestRetryAfterIsWaitedFor(t *testing.T) {
	t.Parallel()
	faked(t, simulator.Options{}, func(t *testing.T, sim *simulator.Simulator, now func() time.Time) {
		r := pick(t, newClient(t, sim, inside(sim, now)), "")
		list(t, r)
		sim.Inject(simulator.Fault{Endpoint: simulator.EndpointList, Status: 503, RetryAfter: "7", Times: 2})
		began := time.Now()
		list(t, r)
		if waited := time.Since(began); waited != 14*time.Second {
			t.Errorf("waited %s", waited)
		}
	})
}

func TestHangWithoutADeadline(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		faked(t, simulator.Options{}, func(t *testing.T, sim *simulator.Simulator, now func() time.Time) {
			r := pick(t, newClient(t, sim, inside(sim, now)), "")
			if _, err := r.Address(t.Context()); err != nil {
				t.Fatal(err)
			}
			sim.Inject(simulator.Fault{Endpoint: op.endpoint, HangAfter: true})
			began := time.Now()
			err := op.run(t.Context(), r)
			e := asError(t, err)
			if !errors.Is(err, upstream.ErrTimeout) || e.Delivery != upstream.Unknown || e.Uncertain != op.write || time.Since(began) != upstream.DefaultTimeout {
				t.Errorf("%s: %+v after %s", op.name, e, time.Since(began))
			}
			wantSent(t, sim, op.endpoint, 1)
		})
	}
}

func TestServiceIsGone(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			client, err := scnet.New(scnet.Config{Token: scnet.NewSecret("t"), AIURL: "http://127.0.0.1:1/ai"})
			if err != nil {
				t.Fatal(err)
			}
			e := asError(t, op.run(t.Context(), pick(t, client, "")))
			if e.Delivery != upstream.NotSent || e.Uncertain || !e.Retryable || e.Status != 0 || !strings.Contains(e.Error(), "not sent") || e.Hint.English == "" {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestCancelledBeforeTheCall(t *testing.T) {
	t.Parallel()
	sim, r := open(t, simulator.Options{})
	list(t, r)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	before := len(sim.Requests())
	for _, op := range operations {
		if e := asError(t, op.run(ctx, r)); !errors.Is(e, context.Canceled) || e.Delivery != upstream.NotSent || e.Uncertain {
			t.Errorf("%s: %+v", op.name, e)
		}
	}
	if got := len(sim.Requests()); got != before {
		t.Errorf("%d requests were sent", got-before)
	}
}

func TestDeadPooledConnectionDoesNotRepeatAWrite(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		if !op.write {
			continue
		}
		sim, r := open(t, simulator.Options{})
		list(t, r) // leaves a connection in the pool
		sim.Inject(simulator.Fault{Endpoint: op.endpoint, ResetAfter: true})
		e := asError(t, op.run(t.Context(), r))
		if e.Delivery != upstream.Unknown || !e.Uncertain {
			t.Errorf("%s: %+v", op.name, e)
		}
		wantSent(t, sim, op.endpoint, 1)
	}
}
