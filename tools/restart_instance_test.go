package tools_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

var restart = arguments{"instance_id": id(1), "confirm": true}

func TestRestartOfWhatHasEnded(t *testing.T) {
	for _, status := range []string{simulator.Terminated, simulator.Failed, simulator.Completed} {
		bubble(t, status, func(t *testing.T) {
			w := newWorld(t, setup{instances: jobs(1, status)})
			r := w.call(t, "restart_instance", restart)
			if r.State != "waiting" || r.LastStatus != "Waiting" || r.Targets[0].Status != status || r.WaitedSeconds != 0 || r.ReturnedID == id(1) {
				t.Errorf("%+v", r)
			}
			wantParts(t, r.Text, "Waiting means queueing for cards, not broken", "get_instance with instance_id="+id(1)+" and wait_for=Running")
			w.wantSent(t, simulator.EndpointRestart, 1)
		})
	}
}

func TestRestartOfWhatIsActive(t *testing.T) {
	for status, next := range map[string]string{
		simulator.Running:   "stop it (stop_instances), which ends its processes; wait until it is Terminated",
		simulator.Deploying: "containers are being set up",
		simulator.Waiting:   "queueing for cards, not broken",
	} {
		bubble(t, status, func(t *testing.T) {
			w := newWorld(t, setup{instances: jobs(1, status)})
			w.fails(t, "restart_instance", restart, "job-001", id(1), "is "+status, "Nothing was changed", next)
			w.fails(t, "restart_instance", restart.with(arguments{"force": true}), "force: unknown argument")
			w.nothingSent(t)
		})
	}
}

func TestRestartPreview(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(1, simulator.Failed)})
		r := w.call(t, "restart_instance", arguments{"instance_id": " " + id(1) + " "})
		wantParts(t, r.Text, "PREVIEW", "Nothing has been changed", "would restart 1 instance", id(1), "job-001", "Failed", "1h", "billing resumes", r.Token)
		w.nothingSent(t)
		// By its name it is the same instance, so the token holds.
		if r = w.call(t, "restart_instance", restart.with(arguments{"instance_id": "job-001", "preview_token": r.Token})); r.State != "waiting" {
			t.Errorf("%s", r.Text)
		}
		w.wantSent(t, simulator.EndpointRestart, 1)
	})
}

func TestRestartWaits(t *testing.T) {
	after := func(d time.Duration, change func(*simulator.Instance)) func(*world) {
		return func(w *world) {
			go func() {
				<-time.After(d)
				w.UpdateInstance(home, id(1), change)
			}()
		}
	}
	for name, c := range map[string]struct {
		timing   simulator.Timing
		quirks   simulator.Quirks
		prepare  func(*world)
		wait     int
		state    string
		status   string
		waited   int
		parts    []string
		progress []string
	}{
		"until it runs": {wait: 30, state: "done", status: "Running", waited: 7,
			progress: []string{"0/30 status Waiting", "1/30 status Waiting", "3/30 status Deploying"}},
		"until the time is up": {timing: simulator.Timing{Waiting: time.Hour}, wait: 10, state: "waiting", status: "Waiting", waited: 10,
			parts:    []string{"after 10 s", "queueing for cards, not broken", "get_instance"},
			progress: []string{"0/10 status Waiting", "1/10 status Waiting", "3/10 status Waiting", "7/10 status Waiting"}},
		"no longer than five seconds between looks": {timing: simulator.Timing{Waiting: time.Hour}, wait: 20, state: "waiting", status: "Waiting", waited: 20,
			progress: []string{"0/20 status Waiting", "1/20 status Waiting", "3/20 status Waiting", "7/20 status Waiting", "12/20 status Waiting", "17/20 status Waiting"}},
		"until it ends again": {prepare: after(2*time.Second, func(in *simulator.Instance) { in.Status = simulator.Failed }),
			wait: 30, state: "failed", status: "Failed", waited: 3, parts: []string{"accepted", "ended again"},
			progress: []string{"0/30 status Waiting", "1/30 status Waiting"}},
		"while the old status is still answered": {quirks: simulator.Quirks{StatusWords: map[string]string{"Waiting": "Terminated"}},
			wait: 30, state: "done", status: "Running", waited: 7,
			progress: []string{"0/30 status Terminated", "1/30 status Terminated", "3/30 status Deploying"}},
		"at a status that nobody documents": {quirks: simulator.Quirks{StatusWords: map[string]string{"Waiting": "Hibernating"}},
			wait: 1, state: "waiting", status: "Hibernating", waited: 1, parts: []string{"not Running yet"},
			progress: []string{"0/1 status Hibernating"}},
		"until it is gone": {prepare: func(w *world) {
			go func() { <-time.After(500 * time.Millisecond); w.RemoveInstance(home, id(1)) }()
		}, wait: 2, state: "waiting", status: "Waiting", waited: 2, parts: []string{"could not be read", "no such instance"},
			progress: []string{"0/2 status Waiting", "1/2 status Waiting"}},
	} {
		bubble(t, name, func(t *testing.T) {
			w := newWorld(t, setup{instances: jobs(1, simulator.Terminated), timing: c.timing, quirks: c.quirks})
			if c.prepare != nil {
				c.prepare(w)
			}
			var p reports
			r, err := w.try(p.follow(t.Context()), toolbox.Call{Tool: "restart_instance", Arguments: encoded(restart.with(arguments{"wait_seconds": c.wait}))})
			if err != nil {
				t.Fatal(toolbox.Explain(lang.English, err))
			}
			if r.State != c.state || r.LastStatus != c.status || r.WaitedSeconds != c.waited {
				t.Errorf("state %q, status %q, waited %d: %s", r.State, r.LastStatus, r.WaitedSeconds, r.Text)
			}
			wantParts(t, r.Text, append(c.parts, c.status)...)
			p.want(t, c.progress...)
			w.wantSent(t, simulator.EndpointRestart, 1)
			synctest.Wait()
		})
	}
}

func TestRestartWaitIsCancelledAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(1, simulator.Terminated), timing: simulator.Timing{Waiting: time.Hour}})
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		began := time.Now()
		r, err := w.try(ctx, toolbox.Call{Tool: "restart_instance", Arguments: encoded(restart.with(arguments{"wait_seconds": 50}))})
		if took := time.Since(began); err != nil || took != 2500*time.Millisecond || r.State != "waiting" || r.WaitedSeconds != 2 {
			t.Errorf("after %s: %+v, %v", took, r, err)
		}
	})
}

func TestRestartEndsBeforeTheClientGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(1, simulator.Terminated), timing: simulator.Timing{Waiting: time.Hour}})
		w.Inject(simulator.Fault{Endpoint: simulator.EndpointDetail, Latency: 9 * time.Second})
		began := time.Now()
		r := w.call(t, "restart_instance", restart.with(arguments{"wait_seconds": 50}))
		if took := time.Since(began); took > 55*time.Second || r.State != "waiting" {
			t.Errorf("after %s: %s", took, r.Text)
		}
	})
}

func TestRestartUnderAnotherID(t *testing.T) {
	for name, c := range map[string]struct {
		quirk    simulator.RestartID
		returned func(simulator.Instance) string
		note     string
	}{
		"of the task": {simulator.RestartTaskID, func(in simulator.Instance) string { return in.HeaderNotebookID }, ""},
		"the same":    {simulator.RestartSameID, func(simulator.Instance) string { return id(1) }, ""},
		"new":         {simulator.RestartNewID, func(in simulator.Instance) string { return in.ID }, "It goes on under another id"},
	} {
		bubble(t, name, func(t *testing.T) {
			w := newWorld(t, setup{instances: jobs(1, simulator.Terminated), quirks: simulator.Quirks{RestartID: c.quirk}})
			r := w.call(t, "restart_instance", restart.with(arguments{"wait_seconds": 30}))
			now := w.Instances(home)[0]
			if r.State != "done" || r.ReturnedID != c.returned(now) || r.Targets[0].ID != id(1) {
				t.Errorf("%+v", r)
			}
			wantParts(t, r.Text, id(1), c.note)
			if c.quirk == simulator.RestartNewID {
				wantParts(t, r.Note, "use "+now.ID+" from now on")
			}
			if (r.Note == "") != (c.note == "") {
				t.Errorf("note %q", r.Note)
			}
		})
	}
}

func TestRestartWithAnUnknownOutcome(t *testing.T) {
	for name, fault := range map[string]simulator.Fault{
		"reset before":    {Reset: true},
		"reset after":     {ResetAfter: true},
		"no answer":       {HangAfter: true},
		"gateway":         {Status: http.StatusBadGateway},
		"login page":      {HTML: true, Status: http.StatusOK},
		"half an answer":  {Truncate: true},
		"internal error":  {Code: "10001"},
		"connection lost": {Code: "10012"},
	} {
		bubble(t, name, func(t *testing.T) {
			w := newWorld(t, setup{instances: jobs(1, simulator.Terminated)})
			fault.Endpoint = simulator.EndpointRestart
			w.Inject(fault)
			r := w.call(t, "restart_instance", restart.with(arguments{"wait_seconds": 10}))
			if acted := w.Instances(home)[0].Status != simulator.Terminated; acted { // a look settles it
				if r.State != "done" || r.outcomes() != "accepted" {
					t.Errorf("state %q", r.State)
				}
				wantParts(t, r.Text, "The answer was lost", "the instance shows that it was restarted")
			} else {
				if r.State != "unknown" || r.outcomes() != "unknown" || r.Problem == nil {
					t.Errorf("state %q, problem %v", r.State, r.Problem)
				}
				wantParts(t, r.Text, "may or may not have happened", "not repeated", "get_instance")
			}
			w.wantSent(t, simulator.EndpointRestart, 1)
		})
	}
}

// A preview does not promise that what is still stopping starts.
func TestRestartPreviewOfWhatIsStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(1, simulator.Running), timing: simulator.Timing{Stopping: 30 * time.Second}})
		w.confirmed(t, "stop_instances", arguments{"instance_ids": ids(1)})
		r := w.call(t, "restart_instance", arguments{"instance_id": id(1)})
		wantParts(t, r.Text, "PREVIEW", "It has not stopped yet (status Stopping)", "may be refused until it has stopped", "wait_for=Terminated")
		if strings.Contains(r.Text, "starts; billing resumes") {
			t.Error(r.Text)
		}
	})
}

// An instance that stops by itself while nobody knows what became of its restart has not been restarted.
func TestRestartOfWhatWasStoppingIsNotMistaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(1, simulator.Running), timing: simulator.Timing{Stopping: 30 * time.Second}})
		w.confirmed(t, "stop_instances", arguments{"instance_ids": ids(1)})
		w.Inject(simulator.Fault{Endpoint: simulator.EndpointRestart, Reset: true})
		r := w.call(t, "restart_instance", restart.with(arguments{"wait_seconds": 40}))
		if wantOutcomes(t, r, "unknown", "unknown"); w.Instances(home)[0].Status != simulator.Terminated {
			t.Errorf("%+v", w.Instances(home))
		}
	})
}

func TestRestartRefusedByTheService(t *testing.T) {
	for name, c := range map[string]struct {
		fault simulator.Fault
		want  []string
	}{
		"token expired": {simulator.Fault{Own: simulator.OwnFault{ExpireToken: true}}, []string{"10008", "token"}},
		"too many":      {simulator.Fault{Status: http.StatusTooManyRequests, RetryAfter: "7"}, []string{"too many calls", "wait 7s"}},
		"frozen":        {simulator.Fault{Code: "10007"}, []string{"frozen"}},
	} {
		bubble(t, name, func(t *testing.T) {
			w := newWorld(t, setup{instances: jobs(1, simulator.Terminated)})
			c.fault.Endpoint, c.fault.Times = simulator.EndpointRestart, 1
			w.Inject(c.fault)
			w.fails(t, "restart_instance", restart, append(c.want, "Nothing was changed")...)
			w.wantSent(t, simulator.EndpointRestart, 1)
			if r := w.call(t, "restart_instance", restart); r.State != "waiting" {
				t.Errorf("the next call: %s", r.Text)
			}
		})
	}
}

// Cancelling while the request is under way waits for its answer: a write that is cut off has an unknown outcome.
func TestRestartIsNotCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(1, simulator.Terminated)})
		w.Inject(simulator.Fault{Endpoint: simulator.EndpointRestart, Latency: 3 * time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, err := w.try(ctx, toolbox.Call{Tool: "restart_instance", Arguments: encoded(restart.with(arguments{"wait_seconds": 50}))})
		if err != nil || r.State != "waiting" || r.ReturnedID == "" {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestRestartOfWhatDoesNotExist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, quirk := range []simulator.DetailUnknown{simulator.DetailNull, simulator.DetailError} {
			w := newWorld(t, setup{instances: jobs(12, simulator.Terminated), quirks: simulator.Quirks{DetailUnknown: quirk}})
			call := func(id string) arguments { return restart.with(arguments{"instance_id": id}) }
			w.fails(t, "restart_instance", call(id(99)), "no such instance", id(99), "Nothing was changed", "list_instances")
			w.fails(t, "restart_instance", call("job-00"), "neither an id nor a whole name", id(2), "Terminated", "Nothing was changed")
			w.fails(t, "restart_instance", call("job"), id(3), "and more")
			for _, wildcard := range []string{"*", "job-*", "?", "../" + id(1), id(1) + "," + id(2), ""} {
				err := w.fails(t, "restart_instance", call(wildcard), "is neither ")
				if text := toolbox.Explain(lang.English, err); strings.Contains(text, "that is meant") || strings.Contains(text, "network") {
					t.Errorf("%q is taken for a name: %s", wildcard, text)
				}
			}
			w.nothingSent(t)
		}
	})
}
