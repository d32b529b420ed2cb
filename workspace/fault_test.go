package workspace_test

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/workspace"
	"github.com/scnet-mcp/scnet-mcp/workspace/simulator"
)

// happened reports whether a write has had its effect.
func happened(sim *simulator.Simulator, op operation) bool {
	switch op.op {
	case simulator.OpExecute:
		return len(sim.Tasks()) == 2
	case simulator.OpCreateScript:
		return len(sim.Scripts()) == 4
	case simulator.OpDeleteScript:
		return len(sim.Scripts()) == 2
	}
	return sim.Tasks()[0].Status != simulator.StateInit && sim.Tasks()[0].Status != simulator.StateRunning
}

func TestMisbehaviour(t *testing.T) {
	t.Parallel()
	elsewhere := fakecloudtest.Elsewhere(t)
	const short = 200 * time.Millisecond
	for name, c := range map[string]struct {
		fault     simulator.Fault
		deadline  bool
		delivery  upstream.Delivery
		status    int
		cause     error // nil for any
		reads     int   // requests of a read
		retryable bool  // reads
		certain   bool  // a write has certainly not happened
		happens   bool  // a write happens all the same
		writeMay  bool  // a write may be repeated by the caller
		hasBody   bool  // only where an answer has a body that can be spoilt
	}{
		"slow":         {fault: simulator.Fault{Latency: time.Minute}, deadline: true, delivery: upstream.Unknown, cause: context.DeadlineExceeded, reads: 1, retryable: true},
		"hangs":        {fault: simulator.Fault{HangAfter: true}, deadline: true, delivery: upstream.Unknown, cause: context.DeadlineExceeded, reads: 1, retryable: true, happens: true},
		"reset before": {fault: simulator.Fault{Reset: true}, delivery: upstream.Unknown, reads: 3, retryable: true},
		"reset after":  {fault: simulator.Fault{ResetAfter: true}, delivery: upstream.Unknown, reads: 3, retryable: true, happens: true},
		"429":          {fault: simulator.Fault{Status: 429}, delivery: upstream.Answered, status: 429, cause: workspace.ErrThrottled, reads: 3, retryable: true, certain: true, writeMay: true},
		"502":          {fault: simulator.Fault{Status: 502}, delivery: upstream.Answered, status: 502, cause: workspace.ErrUnavailable, reads: 3, retryable: true},
		"503":          {fault: simulator.Fault{Status: 503}, delivery: upstream.Answered, status: 503, cause: workspace.ErrUnavailable, reads: 3, retryable: true},
		"503 gateway":  {fault: simulator.Fault{Code: "APIGW.0613"}, delivery: upstream.Answered, status: 503, cause: workspace.ErrUnavailable, reads: 3, retryable: true, certain: true, writeMay: true},
		"504":          {fault: simulator.Fault{Status: 504, HTML: true}, delivery: upstream.Answered, status: 504, cause: workspace.ErrUnavailable, reads: 3, retryable: true},
		"500":          {fault: simulator.Fault{Code: "WKS.00211401"}, delivery: upstream.Answered, status: 500, cause: workspace.ErrFailed, reads: 1, retryable: true},
		"403":          {fault: simulator.Fault{Code: "WKS.00081102"}, delivery: upstream.Answered, status: 403, cause: workspace.ErrDenied, reads: 1, certain: true},
		"404":          {fault: simulator.Fault{Status: 404, HTML: true}, delivery: upstream.Answered, status: 404, cause: workspace.ErrNoAPI, reads: 1},
		"HTML 502":     {fault: simulator.Fault{HTML: true}, delivery: upstream.Answered, status: 502, cause: workspace.ErrUnavailable, reads: 3, retryable: true},
		"HTML 200":     {fault: simulator.Fault{HTML: true, Status: 200}, delivery: upstream.Answered, status: 200, cause: workspace.ErrMalformed, reads: 1, hasBody: true},
		"truncated":    {fault: simulator.Fault{Truncate: true}, delivery: upstream.Answered, status: 200, cause: workspace.ErrMalformed, reads: 1, happens: true, hasBody: true},
		"redirect":     {fault: simulator.Fault{Redirect: elsewhere + "/login"}, delivery: upstream.Answered, status: 307, cause: workspace.ErrRedirect, reads: 1},
		"moved":        {fault: simulator.Fault{Redirect: elsewhere, Status: 301}, delivery: upstream.Answered, status: 301, cause: workspace.ErrRedirect, reads: 1},
		"huge":         {fault: simulator.Fault{Huge: 5 << 20}, delivery: upstream.Unknown, cause: upstream.ErrTooLarge, reads: 1, happens: true, hasBody: true},
	} {
		for _, op := range operations {
			if c.hasBody && (op.op == simulator.OpStop || op.op == simulator.OpDeleteScript) {
				continue
			}
			check := func(t *testing.T, sim *simulator.Simulator, client *workspace.Client, task, record string) {
				count := func() int { return len(sent(sim, op.op)) }
				before := count()
				fault := c.fault
				fault.Endpoint = op.op
				sim.Inject(fault)
				ctx := t.Context()
				if c.deadline {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, short)
					defer cancel()
				}
				err := op.run(ctx, client, task, record)
				e := asError(t, err)
				if e.Delivery != c.delivery || e.Status != c.status || c.cause != nil && !errors.Is(err, c.cause) {
					t.Errorf("%v, delivery %s, status %d; want %s, %d, %v", err, e.Delivery, e.Status, c.delivery, c.status, c.cause)
				}
				if e.Op == "" || !strings.Contains(e.Endpoint, "/v2/"+sim.ProjectID()) || strings.Contains(e.Endpoint, "?") || strings.Contains(err.Error(), elsewhere) {
					t.Errorf("err = %+v", e)
				}
				if !op.write {
					fakecloudtest.Settle(t, op.name, before+c.reads, count)
					if e.Retryable != c.retryable || e.Uncertain {
						t.Errorf("retryable %v, uncertain %v", e.Retryable, e.Uncertain)
					}
					return
				}
				fakecloudtest.Settle(t, op.name, before+1, count)
				if e.Uncertain == c.certain || e.Retryable != c.writeMay {
					t.Errorf("uncertain %v, retryable %v", e.Uncertain, e.Retryable)
				}
				if e.Uncertain != strings.Contains(e.Hint.English, "unknown") || e.Uncertain && strings.Contains(e.Hint.English, "try again") {
					t.Errorf("hint %q", e.Hint.English)
				}
				if happened(sim, op) != c.happens {
					t.Errorf("happened: %v", happened(sim, op))
				}
				if !e.Uncertain || op.op != simulator.OpExecute {
					return
				}
				sim.ClearFaults()
				found, err := client.Tasks(t.Context(), settledBy(t, e))
				if want := len(sim.Tasks()); err != nil || len(found.Rows) != want {
					t.Errorf("settling finds %d tasks of %d, %v", len(found.Rows), want, err)
				}
			}
			t.Run(name+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				options := simulator.Options{Timing: simulator.Timing{Init: -1, Script: time.Hour}}
				if c.delivery != upstream.Answered || c.reads == 1 {
					sim, _, task, record := prepared(t, options)
					// On a connection from the pool net/http would repeat a read once more by itself.
					check(t, sim, newClient(t, sim), task, record)
					return
				}
				synctest.Test(t, func(t *testing.T) { // tries that wait
					options.Now = time.Now
					sim := simulator.New(options)
					client := newClient(t, sim, inside(sim, time.Now))
					task := finished(t, client)
					check(t, sim, client, task, sim.Records(task)[0].ID)
				})
			})
		}
	}
}

// settledBy reads the advice of an uncertain Execute as a caller would follow it.
func settledBy(t *testing.T, e *workspace.Error) workspace.TaskFilter {
	t.Helper()
	match := regexp.MustCompile(`script_id (\S+) and execute_time_start (\S+):`).FindStringSubmatch(e.Hint.English)
	if match == nil {
		t.Fatalf("the hint names no list: %q", e.Hint.English)
	}
	since, err := time.Parse(time.RFC3339, match[2])
	if err != nil {
		t.Fatal(err)
	}
	return workspace.TaskFilter{ScriptID: match[1], Since: since}
}

func TestDeadPooledConnectionDoesNotRepeatAWrite(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		if !op.write {
			continue
		}
		sim, client, task, record := prepared(t, simulator.Options{}) // leaves a connection in the pool
		before := len(sent(sim, op.op))
		sim.Inject(simulator.Fault{Endpoint: op.op, ResetAfter: true})
		e := asError(t, op.run(t.Context(), client, task, record))
		if e.Delivery != upstream.Unknown || !e.Uncertain {
			t.Errorf("%s: %+v", op.name, e)
		}
		wantSent(t, sim, op.op, before+1)
	}
}

func TestSettleNamesTheListCall(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		date  string // of the service; "" for no answer at all
		since time.Time
	}{
		"no answer":    {"", at.Add(-15 * time.Minute)},
		"same clock":   {"Sat, 21 Nov 2026 10:00:00 GMT", at.Add(-5 * time.Second)},
		"clock is off": {"Sat, 21 Nov 2026 09:50:00 GMT", at.Add(-10*time.Minute - 5*time.Second)},
	} {
		client, err := workspace.New(workspace.Config{
			AccessKey: workspace.NewSecret("a"), SecretKey: workspace.NewSecret("s"), ProjectID: "p", Region: "cn-north-4",
			Now: func() time.Time { return at },
			Transport: fakecloudtest.RoundTrip(func(r *http.Request) (*http.Response, error) {
				if c.date == "" {
					fakecloudtest.Left(r)
					return nil, errors.New("connection reset")
				}
				resp := fakecloudtest.Answer(502, "")
				resp.Header.Set("Date", c.date)
				return resp, nil
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Execute(t.Context(), example)
		e := asError(t, err)
		if by := settledBy(t, e); by.ScriptID != shellScript || !by.Since.Equal(c.since) ||
			!strings.Contains(e.Hint.English, "script_id "+shellScript+" and execute_time_start "+c.since.Format("2006-01-02T15:04:05Z")) {
			t.Errorf("%s: hint %q", name, e.Hint.English)
		}
	}
}

func TestHangWithoutADeadline(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		synctest.Test(t, func(t *testing.T) {
			sim := simulator.New(simulator.Options{Now: time.Now})
			client := newClient(t, sim, inside(sim, time.Now))
			sim.Inject(simulator.Fault{Endpoint: op.op, HangAfter: true})
			began := time.Now()
			err := op.run(t.Context(), client, "t", "r")
			e := asError(t, err)
			if !errors.Is(err, upstream.ErrTimeout) || e.Delivery != upstream.Unknown || e.Uncertain != op.write || time.Since(began) != 30*time.Second {
				t.Errorf("%s: %+v after %s", op.name, e, time.Since(began))
			}
			wantSent(t, sim, op.op, 1)
		})
	}
}

func TestServiceIsGone(t *testing.T) {
	t.Parallel()
	for _, op := range operations[6:9] { // record, execute, create: each takes three tries
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			client, err := workspace.New(workspace.Config{
				AccessKey: workspace.NewSecret("a"), SecretKey: workspace.NewSecret("s"), ProjectID: "p", Endpoint: "http://127.0.0.1:1",
			})
			if err != nil {
				t.Fatal(err)
			}
			e := asError(t, op.run(t.Context(), client, "t", "r"))
			if e.Delivery != upstream.NotSent || e.Uncertain || !e.Retryable || e.Status != 0 || !strings.Contains(e.Error(), "not sent") || e.Hint.English == "" {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestCancelledBeforeTheCall(t *testing.T) {
	t.Parallel()
	sim, client, task, record := prepared(t, simulator.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	before := len(sim.Requests())
	for _, op := range operations {
		if e := asError(t, op.run(ctx, client, task, record)); !errors.Is(e, context.Canceled) || e.Delivery != upstream.NotSent || e.Uncertain {
			t.Errorf("%s: %+v", op.name, e)
		}
	}
	if got := len(sim.Requests()); got != before {
		t.Errorf("%d requests were sent", got-before)
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	sim, client := open(t, simulator.Options{Timing: instant})
	sim.SetOutcome(linux1, "", simulator.Outcome{Output: "x", OutputSize: 4<<20 - 4096})
	id := finished(t, client)
	detail, err := client.Record(t.Context(), sim.Records(id)[0].ID)
	if err != nil || len(detail.Output) < 4<<20-8192 {
		t.Errorf("an output just below the cap: %d bytes, %v", len(detail.Output), err)
	}
	sim.SetOutcome(linux1, "", simulator.Outcome{Output: "x", OutputSize: 4 << 20})
	id = finished(t, client)
	_, err = client.Record(t.Context(), sim.Records(id)[0].ID)
	if e := asError(t, err); !errors.Is(err, upstream.ErrTooLarge) || e.Retryable || !strings.Contains(e.Hint.English, "4 MiB") {
		t.Errorf("an output above the cap: %+v", e)
	}
	sim.Inject(simulator.Fault{Endpoint: simulator.OpListTasks, Huge: 1<<20 + 1})
	if _, err := client.Task(t.Context(), id); !errors.Is(err, upstream.ErrTooLarge) {
		t.Errorf("a list above the cap: %v", err)
	}
	sim.ClearFaults()
	sim.Inject(simulator.Fault{Endpoint: simulator.OpListTasks, Huge: 1 << 20})
	if _, err := client.Task(t.Context(), id); err != nil {
		t.Errorf("a list at the cap: %v", err)
	}
}
