package tools_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

func TestDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		instances := append(jobs(2, simulator.Terminated), job(3, simulator.Running))
		w := newWorld(t, setup{instances: instances, quirks: simulator.Quirks{DetailUnknown: simulator.DetailError}})
		preview, confirming := w.previewed(t, "delete_instances", deletion(id(1), id(3), id(9)))
		wantParts(t, preview.Text, "PREVIEW. Nothing has been changed", "would delete 2 instances for good in 华东一区【昆山】 (11250)",
			"not in mounted storage is lost", "job-001", id(1), "Terminated", "1h", "job-003", id(3), "Running", "3h", "its processes end",
			id(9), "not found", "does not exist (any more)", "confirm=true and preview_token="+preview.Token, "once, before ")
		w.nothingSent(t)

		r := w.call(t, "delete_instances", confirming)
		wantOutcomes(t, r, "done", "deleted", "deleted", "not_found")
		wantParts(t, r.Text, "2 deleted", "1 not found")
		if left := w.Instances(home); len(left) != 1 || left[0].ID != id(2) {
			t.Errorf("left: %+v", left)
		}
		w.wantSent(t, simulator.EndpointDelete, 1)
		query, _ := url.ParseQuery(w.sent(simulator.EndpointDelete)[0].Query)
		if got := query["ids"]; !slices.Equal(got, []string{id(1), id(3)}) {
			t.Errorf("ids were sent as %q", w.sent(simulator.EndpointDelete)[0].Query)
		}
	})
}

func TestDeleteOfNothingNeedsNoConsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(1, simulator.Running)})
		wantOutcomes(t, w.call(t, "delete_instances", deletion(id(7), id(8))), "failed", "not_found", "not_found")
		w.nothingSent(t)
	})
}

func TestDeleteTakesIDsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(3, simulator.Running)})
		w.fails(t, "delete_instances", deletion(id(1), "JOB-00"), `"JOB-00" is neither an id nor a whole name`, id(1), id(2), id(3), "Running")
		for _, wildcard := range []string{"*", "job-*", "all instances", "%", ""} {
			w.fails(t, "delete_instances", deletion(id(1), wildcard), "is neither ")
		}
		w.fails(t, "delete_instances", deletion(), "instance_ids", "Nothing was sent")

		_, confirming := w.previewed(t, "delete_instances", deletion(id(2), " "+id(2), id(2)+"\n"))
		wantOutcomes(t, w.call(t, "delete_instances", confirming), "done", "deleted")
		if left := len(w.Instances(home)); left != 2 {
			t.Errorf("%d instances are left", left)
		}
	})
}

func TestDeleteDifferently(t *testing.T) {
	const refused = "code 716866 删除任务失败 / the task could not be deleted"
	for name, c := range map[string]struct {
		quirks   simulator.Quirks
		fault    simulator.Fault
		look     simulator.Fault
		running  int // index of the running one of three
		outcomes []string
		state    string
		parts    []string
		took     time.Duration
	}{
		"a running one refused, atomic": {quirks: simulator.Quirks{DeleteActiveFails: true}, running: 2,
			outcomes: []string{"refused", "refused", "refused"}, state: "failed", parts: []string{refused}},
		"a running one refused, the others gone": {quirks: simulator.Quirks{DeleteActiveFails: true, DeleteBatch: simulator.DeletePartial}, running: 2,
			outcomes: []string{"deleted", "refused", "deleted"}, state: "partial", parts: []string{refused, "gone afterwards, although: " + refused}},
		"accepted and still listed": {fault: simulator.Fault{Code: "0"},
			outcomes: []string{"still_listed", "still_listed", "still_listed"}, state: "unknown",
			parts: []string{"accepted, but it is still listed", "get_instance with instance_id=" + id(1) + ", and likewise for 2 others"}, took: 3500 * time.Millisecond},
		"answer lost, but gone": {fault: simulator.Fault{ResetAfter: true},
			outcomes: []string{"deleted", "deleted", "deleted"}, state: "done", parts: []string{"gone afterwards, although: read tcp: read: connection reset"}},
		"answer lost, and still there": {fault: simulator.Fault{Reset: true},
			outcomes: []string{"unknown", "unknown", "unknown"}, state: "unknown",
			parts: []string{"connection reset by peer; it is still listed", "get_instance"}, took: 3500 * time.Millisecond},
		"no answer in time": {fault: simulator.Fault{HangAfter: true},
			outcomes: []string{"deleted", "deleted", "deleted"}, state: "done", parts: []string{"although: no answer in time"}, took: 20 * time.Second},
		"a login page": {fault: simulator.Fault{HTML: true, Status: http.StatusOK},
			outcomes: []string{"unknown", "unknown", "unknown"}, state: "unknown", parts: []string{"not what SCNet documents"}, took: 3500 * time.Millisecond},
		"token expired": {fault: simulator.Fault{Own: simulator.OwnFault{ExpireToken: true}},
			outcomes: []string{"refused", "refused", "refused"}, state: "failed", parts: []string{"10008", "token is expired"}},
		"looking fails": {look: simulator.Fault{Status: http.StatusInternalServerError, After: 6},
			outcomes: []string{"unknown", "unknown", "unknown"}, state: "unknown",
			parts: []string{"the delete was accepted, but looking afterwards failed", "get_instance"}, took: 3500 * time.Millisecond},
		"looking fails at first": {look: simulator.Fault{Status: http.StatusInternalServerError, After: 6, Times: 4},
			outcomes: []string{"deleted", "deleted", "deleted"}, state: "done", took: 1500 * time.Millisecond},
		"looking fails at first, and still listed": {fault: simulator.Fault{Code: "0"},
			look:     simulator.Fault{Status: http.StatusInternalServerError, After: 6, Times: 4},
			outcomes: []string{"still_listed", "still_listed", "still_listed"}, state: "unknown", took: 3500 * time.Millisecond},
		"looking hangs": {look: simulator.Fault{Latency: time.Hour, After: 6},
			outcomes: []string{"unknown", "unknown", "unknown"}, state: "unknown", parts: []string{"looking took longer than 15s"}, took: 15 * time.Second},
	} {
		bubble(t, name, func(t *testing.T) {
			instances := jobs(3, simulator.Terminated)
			if c.running > 0 {
				instances[c.running-1].Status = simulator.Running
			}
			w := newWorld(t, setup{instances: instances, quirks: c.quirks})
			c.fault.Endpoint, c.look.Endpoint = simulator.EndpointDelete, simulator.EndpointDetail
			if c.fault != (simulator.Fault{Endpoint: simulator.EndpointDelete}) {
				w.Inject(c.fault)
			}
			if c.look != (simulator.Fault{Endpoint: simulator.EndpointDetail}) {
				w.Inject(c.look)
			}
			_, confirming := w.previewed(t, "delete_instances", deletion(ids(3)...))
			began := time.Now()
			r := w.call(t, "delete_instances", confirming)
			wantOutcomes(t, r, c.state, c.outcomes...)
			wantParts(t, r.Text, c.parts...)
			w.wantSent(t, simulator.EndpointDelete, 1)
			if took := time.Since(began); took != c.took {
				t.Errorf("took %s, want %s", took, c.took)
			}
		})
	}
}

func TestDeleteUnknownIDBetweenLookAndCall(t *testing.T) {
	for name, c := range map[string]struct {
		batch    simulator.DeleteBatch
		outcomes []string
	}{
		"atomic":          {simulator.DeleteAtomic, []string{"refused", "deleted"}},
		"ignores unknown": {simulator.DeleteIgnoresUnknown, []string{"deleted", "deleted"}},
		"partial":         {simulator.DeletePartial, []string{"deleted", "deleted"}},
	} {
		bubble(t, name, func(t *testing.T) {
			w := newWorld(t, setup{instances: jobs(2, simulator.Terminated), quirks: simulator.Quirks{DeleteBatch: c.batch}})
			w.wire.Before = func(r *http.Request) {
				if r.Method == http.MethodDelete {
					w.RemoveInstance(home, id(2))
				}
			}
			r := w.confirmed(t, "delete_instances", deletion(ids(2)...))
			if got := r.outcomes(); got != strings.Join(c.outcomes, " ") {
				t.Errorf("outcomes %q\n%s", got, r.Text)
			}
		})
	}
}

// Of 45 ids in three requests, what becomes of the middle 20 hides nothing of the others.
func TestDeleteInChunks(t *testing.T) {
	for name, c := range map[string]struct {
		fault   simulator.Fault
		panics  bool
		outcome string
		state   string
	}{
		"all go":             {outcome: "deleted", state: "done"},
		"one is refused":     {fault: simulator.Fault{Code: "716866"}, outcome: "refused", state: "partial"},
		"one is lost":        {fault: simulator.Fault{Reset: true}, outcome: "unknown", state: "partial"},
		"one token expires":  {fault: simulator.Fault{Own: simulator.OwnFault{ExpireToken: true}}, outcome: "refused", state: "partial"},
		"one meets our bugs": {panics: true, outcome: "unknown", state: "partial"},
	} {
		bubble(t, name, func(t *testing.T) {
			w := newWorld(t, setup{instances: jobs(45, simulator.Terminated), rules: unlimited()})
			requests := 0
			w.wire.Before = func(r *http.Request) {
				if r.Method != http.MethodDelete {
					return
				}
				if len(r.URL.String()) > 1500 {
					t.Errorf("a URL of %d bytes", len(r.URL.String()))
				}
				if requests++; requests == 2 && c.panics {
					panic("secret of the server")
				}
			}
			if c.fault != (simulator.Fault{}) {
				c.fault.Endpoint, c.fault.After, c.fault.Times = simulator.EndpointDelete, 1, 1
				w.Inject(c.fault)
			}
			_, confirming := w.previewed(t, "delete_instances", deletion(ids(45)...))
			var p reports
			r, err := w.try(p.follow(t.Context()), toolbox.Call{Tool: "delete_instances", Arguments: encoded(confirming)})
			if err != nil {
				t.Fatal(toolbox.Explain(lang.English, err))
			}
			want := slices.Concat(slices.Repeat([]string{"deleted"}, 20), slices.Repeat([]string{c.outcome}, 20), slices.Repeat([]string{"deleted"}, 5))
			wantOutcomes(t, r, c.state, want...)
			if requests != 3 {
				t.Errorf("%d requests", requests)
			}
			p.want(t, "20/45 deletions sent", "40/45 deletions sent", "45/45 deletions sent")
			if strings.Contains(r.Text+string(r.Structured), "secret of") {
				t.Errorf("the panic is in the answer: %s", r.Text)
			}
		})
	}
}

func TestDeleteCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(45, simulator.Terminated), rules: unlimited()})
		_, confirming := w.previewed(t, "delete_instances", deletion(ids(45)...))
		ctx, cancel := context.WithCancel(t.Context())
		w.wire.Before = func(r *http.Request) {
			if r.Method == http.MethodDelete {
				cancel()
			}
		}
		r, err := w.try(ctx, toolbox.Call{Tool: "delete_instances", Arguments: encoded(confirming)})
		if err != nil {
			t.Fatal(err)
		}
		// What was under way is finished and looked at, nothing else is started.
		wantOutcomes(t, r, "partial", slices.Concat(slices.Repeat([]string{"deleted"}, 20), slices.Repeat([]string{"failed"}, 25))...)
		wantParts(t, r.Text, "not sent: the call was cancelled")
		w.wantSent(t, simulator.EndpointDetail, 45+45+20) // preview, plan, look
		w.wantSent(t, simulator.EndpointDelete, 1)
	})
}

func TestDeletedInSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(2, simulator.Terminated)})
		w.Inject(simulator.Fault{Endpoint: simulator.EndpointDelete, Code: "0"}) // accepted; the instances vanish by and by
		_, confirming := w.previewed(t, "delete_instances", deletion(ids(2)...))
		for i, after := range []time.Duration{200 * time.Millisecond, 3 * time.Second} {
			go func() {
				<-time.After(after)
				w.RemoveInstance(home, id(i+1))
			}()
		}
		wantOutcomes(t, w.call(t, "delete_instances", confirming), "done", "deleted", "deleted")
	})
}

func TestDeleteOverTheNetwork(t *testing.T) {
	r := region(3)
	s, service := start(t, simulator.Options{Regions: []simulator.Region{r}}, "")
	s.Inject(simulator.Fault{Endpoint: simulator.EndpointDelete, ResetAfter: true})
	w := &world{Simulator: s, toolbox: toolbox.New(toolbox.Rules{}, service.Tools()), caller: toolbox.Caller{Name: "local"}}
	result := w.confirmed(t, "delete_instances", deletion(r.Instances[0].ID, r.Instances[2].ID))
	wantOutcomes(t, result, "done", "deleted", "deleted")
	wantParts(t, result.Text, "gone afterwards, although: ")
	w.wantSent(t, simulator.EndpointDelete, 1)
}

func TestTextOfFiftyTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		instances := jobs(50, simulator.Running)
		for i := range instances {
			instances[i].Name = strings.Repeat("蛋白质结构预测", 9)
		}
		for tool, a := range map[string]arguments{"execute_script": execution("date", ids(50)...), "delete_instances": deletion(ids(50)...)} {
			w := newWorld(t, setup{instances: instances, rules: unlimited()})
			w.Inject(simulator.Fault{Endpoint: simulator.EndpointDelete, Code: "0"})
			preview, confirming := w.previewed(t, tool, a)
			result := w.call(t, tool, confirming)
			for which, text := range map[string]string{"preview": preview.Text, "result": result.Text} {
				if per := len(text) / 50; per > 260 {
					t.Errorf("%s, %s: %d bytes of text per target", tool, which, per)
				}
				for i := range 50 {
					if !strings.Contains(text, id(i+1)) {
						t.Fatalf("%s, %s: %s is missing", tool, which, id(i+1))
					}
				}
			}
			if got := fmt.Sprint(len(result.Targets)); got != "50" {
				t.Errorf("%s: %s targets", tool, got)
			}
		}
	})
}
