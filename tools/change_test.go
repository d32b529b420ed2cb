package tools_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// issued is what a preview token was given for.
type issued struct {
	call  string // tool, caller and arguments
	state string // of the targets
	at    time.Time
	used  bool
}

// look is what the service shows of the targets, as far as consent is bound to it.
func (w *world) look(ids []string) string {
	var b strings.Builder
	all := w.Instances(home)
	for _, id := range ids {
		i := slices.IndexFunc(all, func(in simulator.Instance) bool { return in.ID == id })
		if i < 0 {
			fmt.Fprintf(&b, "%s gone\n", id)
			continue
		}
		in := all[i]
		start := ""
		if !in.StartTime.IsZero() {
			start = in.StartTime.Truncate(time.Second).String()
		}
		fmt.Fprintf(&b, "%s %s %s %s %s %s\n", id, in.Name, in.Status, in.HeaderNotebookID, in.CreateTime.Truncate(time.Second), start)
	}
	return b.String()
}

// Whatever happens in whatever order, nothing is sent without a fresh token that nobody has used, for exactly this call by
// this caller on instances that look as they did; and with one it is sent.
func TestNothingWithoutConsentProperty(t *testing.T) {
	levels := map[string]guard.Level{"restart_instance": guard.Preview}
	for seed := range uint64(40) {
		bubble(t, fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			rules := unlimited()
			rules.Policy.Consent = levels
			w := newWorld(t, setup{instances: append(jobs(2, simulator.Running), job(3, simulator.Failed)), rules: rules})
			tokens := map[string]*issued{"": {used: true}, "aaaaaaaa": {used: true}}
			order := []string{"", "aaaaaaaa"}
			for step := range 60 {
				targets := [][]string{{id(1)}, {id(1), id(2)}, {id(2), id(1)}, {id(3)}}[random.IntN(4)]
				tool, a := "delete_instances", deletion(targets...)
				switch random.IntN(3) {
				case 0:
					tool, a = "execute_script", execution([]string{"date", "id"}[random.IntN(2)], targets...)
				case 1:
					tool, a, targets = "restart_instance", arguments{"instance_id": targets[0]}, targets[:1]
				}
				caller := w.caller
				caller.Name = []string{"local", "local", "eve"}[random.IntN(3)]
				call := fmt.Sprint(tool, caller.Name, string(encoded(a)))
				do := func(more arguments) (reply, int, error) {
					before := w.writes()
					r, err := w.try(t.Context(), toolbox.Call{Tool: tool, Caller: caller, Arguments: encoded(a.with(more))})
					if r.Token != "" {
						tokens[r.Token] = &issued{call: call, state: w.look(targets), at: time.Now()}
						order = append(order, r.Token)
					}
					return r, w.writes() - before, err
				}
				switch random.IntN(6) {
				case 0: // preview
					if _, sent, _ := do(nil); sent != 0 {
						t.Fatalf("step %d: a preview sent %d", step, sent)
					}
				case 1, 2: // preview, and confirm it at once or not at all
					r, _, _ := do(nil)
					confirmWith(t, step, tokens, r.Token, call, w.look(targets), do)
				case 3: // confirm with some token
					confirmWith(t, step, tokens, order[random.IntN(len(order))], call, w.look(targets), do)
				case 4:
					change := func(in *simulator.Instance) { in.Name += "x" }
					switch random.IntN(4) {
					case 0:
						change = func(in *simulator.Instance) { in.Status = simulator.Terminated }
					case 1:
						change = func(in *simulator.Instance) { in.Status = "" }
					case 2:
						w.AddInstance(home, job(1+random.IntN(3), simulator.Running))
					}
					w.UpdateInstance(home, targets[0], change)
				case 5:
					<-time.After(time.Duration(random.IntN(400)) * time.Second)
				}
			}
		})
	}
}

// confirmWith confirms with a token and demands that something is sent if and only if it should be.
func confirmWith(t *testing.T, step int, tokens map[string]*issued, token, call, state string, do func(arguments) (reply, int, error)) {
	t.Helper()
	known := tokens[token]
	if known == nil {
		return
	}
	age := time.Since(known.at)
	good := !known.used && known.call == call && known.state == state && age <= guard.TokenLifetime-time.Second
	if !good && !known.used && age > guard.TokenLifetime-time.Second && age <= guard.TokenLifetime {
		return // the second in which it expires
	}
	r, sent, err := do(arguments{"confirm": true, "preview_token": token})
	if (sent > 0) != good {
		t.Fatalf("step %d: %d sent, good %v, age %s: %v %s", step, sent, good, age, err, r.Text)
	}
	if good {
		known.used = true
	}
}

// rollout1000 runs a script in 1,000 instances that each take 100 ms, ten at a time, and returns how long that took.
func rollout1000(t testing.TB, w *world) time.Duration {
	t.Helper()
	_, confirming := w.previewed(t, "execute_script", execution("date", ids(1000)...).with(arguments{"concurrency": 10}))
	began := time.Now()
	r := w.call(t, "execute_script", confirming)
	took := time.Since(began)
	if r.State != "done" || len(r.Targets) != 1000 || r.Summary.Accepted != 1000 {
		t.Fatalf("%s: %s", r.State, r.Text)
	}
	return took
}

func slow(r *http.Request) {
	if isWrite(r, "execute-script") {
		<-time.After(100 * time.Millisecond)
	}
}

func TestThousandTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{instances: jobs(1000, simulator.Running), rules: unlimited()})
		memory := func() uint64 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		runtime.GC()
		before, goroutines := memory(), runtime.NumGoroutine()
		var requests, mostGoroutines, mostMemory atomic.Int64
		w.wire.Before = func(r *http.Request) {
			mostGoroutines.Store(max(mostGoroutines.Load(), int64(runtime.NumGoroutine()-goroutines)))
			if requests.Add(1)%500 == 0 {
				runtime.GC()
				mostMemory.Store(max(mostMemory.Load(), int64(memory())-int64(before)))
			}
			slow(r)
		}
		if took := rollout1000(t, w); took != 10*time.Second {
			t.Errorf("took %s", took)
		}
		if mostGoroutines.Load() > 25 || mostMemory.Load() > 32<<20 {
			t.Errorf("%d goroutines and %d bytes more than before", mostGoroutines.Load(), mostMemory.Load())
		}
	})
}

func BenchmarkExecuteScript1000(b *testing.B) {
	rules := unlimited()
	rules.MaxMutationsPerHour = 1 << 30
	w := newWorld(b, setup{instances: jobs(1000, simulator.Running), rules: rules})
	w.wire.Before = slow
	var took time.Duration
	for b.Loop() {
		took += rollout1000(b, w)
	}
	b.ReportMetric(took.Seconds()/float64(b.N)/10, "of-10s")
}

// FuzzArguments calls a tool with anything at all. It must not panic, and without consent nothing may be sent.
func FuzzArguments(f *testing.F) {
	names := []string{"delete_instances", "execute_script", "restart_instance"}
	one := `"` + id(1) + `"`
	for i, seeds := range [][]string{
		{`{"instance_ids":[` + one + `]}`, `{"instance_ids":[` + one + `],"confirm":true}`, `{"instance_ids":"*","confirm":"true","preview_token":"x"}`},
		{`{"instance_ids":[` + one + `],"script":"date\r\n","canary":1,"scope":"header","confirm":true}`, `{"script":"\u0000","instance_ids":[null]}`},
		{`{"instance_id":` + one + `,"force":true}`, `{"instance_id":"job","wait_seconds":50,"confirm":1}`, `{"instance_id":` + one + `,"confirm":null}`, `[]`, `{`, ``},
	} {
		for _, seed := range seeds {
			f.Add(uint8(i), seed)
		}
	}
	f.Fuzz(func(t *testing.T, tool uint8, raw string) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, setup{instances: []simulator.Instance{job(1, simulator.Failed), job(2, simulator.Running), job(3, simulator.Waiting)}})
			name := names[int(tool)%len(names)]
			r, err := w.try(context.WithoutCancel(t.Context()), toolbox.Call{Tool: name, Arguments: json.RawMessage(raw)})
			if err != nil && (toolbox.Explain(lang.English, err) == "" || strings.Contains(err.Error(), "fault in the server")) {
				t.Errorf("%v", err)
			}
			if sent := w.writes(); sent > 0 && (name != "restart_instance" || sent > 1 || !strings.Contains(raw, "onfirm") && !strings.Contains(raw, `\u`)) {
				t.Errorf("%d writes: %s", sent, r.Text)
			}
		})
	})
}
