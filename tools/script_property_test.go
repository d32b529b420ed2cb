package tools_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// fate is what an instance makes of a script.
type fate struct {
	rejected bool // SCNet refuses it
	lost     bool // SCNet's answer is lost
	blind    bool // no container sees the storage, or the script never arrived
	state    string
	exit     int
	takes    time.Duration
}

// chance draws a fate: most are good.
func chance(r *rand.Rand) fate {
	f := fate{state: "exited", takes: time.Duration(r.IntN(4)) * time.Second}
	switch r.IntN(12) {
	case 0:
		f.rejected = true
	case 1:
		f.lost = true
	case 2:
		f.lost, f.blind = true, true
	case 3:
		f.blind = true
	case 4:
		f.takes = time.Hour
	case 5:
		f.state, f.exit = "timeout", 143
	case 6, 7:
		f.exit = 1 + r.IntN(255)
	}
	return f
}

// open reports whether nothing bad can be known of it within a call.
func (f fate) open() bool { return !f.rejected && !f.lost && (f.blind || f.takes == time.Hour) }

// event is a script sent to an instance, or the end of what was done with one.
type event struct {
	at     time.Time
	id     string
	sent   bool
	failed bool
}

// staging is one call with instances of random fates.
type staging struct {
	*world
	home  string
	fates map[string]fate

	until time.Time // when the call has to be over

	mu     sync.Mutex
	events []event
}

var runOfWrapper = regexp.MustCompile(`(?m)^_id=(\S+)$`)

// run is a container's part.
func (s *staging) run(run simulator.ScriptRun) {
	f := s.fates[run.InstanceID]
	if f.blind {
		return
	}
	id := runOfWrapper.FindStringSubmatch(run.Content)[1]
	leave := func(kind, content string) {
		_ = os.WriteFile(filepath.Join(s.home, ".scnet-mcp/runs", id, "c."+kind), []byte(content), 0o600)
	}
	leave("out", "")
	leave("err", "")
	leave("beat", "\n")
	leave("started", "")
	if f.takes == time.Hour {
		return
	}
	go func() {
		<-time.After(f.takes)
		leave("done", fmt.Sprintf("scnet-mcp-run 1 %s\nname=c\nstate=%s\nexit=%d\nstart=1\nend=2\nshell=sh\nuid=0\nout_bytes=0\nerr_bytes=0\n"+
			"end_of_record\n", id, f.state, f.exit))
	}()
}

// between stands between the client and SCNet.
func (s *staging) between(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isWrite(r, "execute-script") {
			next.ServeHTTP(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		var sent struct{ ID string }
		_ = json.Unmarshal(body, &sent)
		s.note(event{id: sent.ID, sent: true})
		switch f := s.fates[sent.ID]; {
		case f.rejected:
			_, _ = io.WriteString(w, `{"code":"716864","msg":"no","data":null}`)
		case f.lost:
			next.ServeHTTP(httptest.NewRecorder(), r)
			w.WriteHeader(http.StatusGatewayTimeout)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (s *staging) note(e event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.at = time.Now()
	s.events = append(s.events, e)
}

// TestStagingHolds: whatever becomes of scripts, none is sent twice, none is sent that the limits hold back, and what the
// result says is what happened and what the audit log says.
func TestStagingHolds(t *testing.T) {
	for seed := range uint64(60) {
		bubble(t, fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 11))
			n := 1 + r.IntN(10)
			log, records := auditLog(t)
			s := &staging{home: t.TempDir(), fates: map[string]fate{}}
			for _, id := range ids(n) {
				s.fates[id] = chance(r)
			}
			s.world = newWorld(t, setup{instances: jobs(n, simulator.Running), storage: s.home, onScript: s.run, rules: toolbox.Rules{Audit: log}})
			direct := s.wire.Handler
			s.wire.Handler = func(host string) http.Handler { return s.between(direct(host)) }
			order := ids(n)
			r.Shuffle(n, func(i, j int) { order[i], order[j] = order[j], order[i] })
			canary, concurrency, most := r.IntN(n+1), 1+r.IntN(4), r.IntN(3)
			_, confirming := s.previewed(t, "execute_script", arguments{"instance_ids": order, "script": "date", "canary": canary,
				"concurrency": concurrency, "max_failures": most, "wait_seconds": 40})
			s.until = time.Now().Add(40 * time.Second)
			result, err := s.try(s.followed(t), toolbox.Call{Tool: "execute_script", Arguments: encoded(confirming)})
			if err != nil {
				t.Fatal(toolbox.Explain(lang.English, err))
			}
			s.wantLimits(t, order, canary, concurrency, most)
			s.wantTruth(t, result, order)
			s.wantAudit(t, result, records())
			<-time.After(time.Minute) // for what still runs
			synctest.Wait()
			if t.Failed() {
				t.Logf("canary %d, concurrency %d, max_failures %d, fates %+v\n%s", canary, concurrency, most, s.fates, result.Text)
			}
		})
	}
}

// followed hears of the end of what was done with an instance.
func (s *staging) followed(t *testing.T) context.Context {
	return toolbox.WithProgress(t.Context(), func(_, _ int, message lang.Text) {
		id, state, _ := strings.Cut(message.String(), " ")
		open := []string{string(tools.ScriptSucceeded), string(tools.ScriptRunning), string(tools.ScriptPending)}
		s.note(event{id: id, failed: !slices.Contains(open, state)})
	})
}

// wantLimits checks what was sent, and when.
func (s *staging) wantLimits(t *testing.T, order []string, canary, concurrency, most int) {
	t.Helper()
	var sent []string
	flight, failures := 0, map[string]time.Time{}
	for _, e := range s.events {
		if !e.sent {
			flight--
			if e.failed {
				failures[e.id] = e.at
			}
			continue
		}
		if flight++; flight > concurrency {
			t.Errorf("%d at once, of at most %d", flight, concurrency)
		}
		known := 0
		for _, at := range failures {
			if at.Before(e.at) {
				known++
			}
		}
		if known > most {
			t.Errorf("%s was sent to after %d failures, of at most %d", e.id, known, most)
		}
		if slices.Index(order, e.id) >= canary {
			for _, first := range order[:canary] {
				if !slices.ContainsFunc(s.events, func(end event) bool { return end.id == first && !end.sent && !end.at.After(e.at) }) {
					t.Errorf("%s was sent to before the canary %s was over", e.id, first)
				}
				if s.fates[first].open() {
					t.Errorf("%s was sent to although nothing is known of the canary %s", e.id, first)
				}
			}
		}
		if slices.Contains(sent, e.id) {
			t.Errorf("%s was sent to twice", e.id)
		}
		sent = append(sent, e.id)
	}
	begun := slices.Clone(order[:min(len(sent), len(order))])
	slices.Sort(begun)
	slices.Sort(sent)
	if !slices.Equal(begun, sent) {
		t.Errorf("%q were sent to, which are not the first of %q", sent, order)
	}
	if len(failures) > most+concurrency {
		t.Errorf("%d failures, with %d allowed and %d at once", len(failures), most, concurrency)
	}
}

// wantTruth compares the result with what happened.
func (s *staging) wantTruth(t *testing.T, result reply, order []string) {
	t.Helper()
	runs := map[string]tools.ScriptRun{}
	var left []string
	for _, run := range scriptRuns(t, result) {
		runs[run.InstanceID] = run
		if run.Left != "" {
			left = append(left, run.Left)
		}
	}
	there, _ := filepath.Glob(s.home + "/.scnet-mcp/runs/*")
	slices.Sort(left)
	if !slices.Equal(left, there) {
		t.Errorf("left %q, and there is %q", left, there)
	}
	if !slices.Equal(toolbox.IDs(result.Targets), order) {
		t.Errorf("targets %q of %q", toolbox.IDs(result.Targets), order)
	}
	good := 0
	for _, target := range result.Targets {
		f, run := s.fates[target.ID], runs[target.ID]
		i := slices.IndexFunc(s.events, func(e event) bool { return e.sent && e.id == target.ID })
		sent := i >= 0
		want, outcome := tools.ScriptSucceeded, toolbox.Accepted
		switch {
		case !sent:
			want, outcome = "", toolbox.NotAttempted
		case f.rejected:
			want, outcome = "", toolbox.RejectedByService
		case f.lost && f.blind:
			want, outcome = tools.ScriptUnknown, toolbox.OutcomeUnknown
		case f.blind:
			want = tools.ScriptPending
		case s.events[i].at.Add(f.takes).Equal(s.until) && run.State == tools.ScriptRunning: // nobody can say which is first
			want = run.State
		case s.events[i].at.Add(f.takes).After(s.until): // it was sent to so late, or takes so long
			want = tools.ScriptRunning
		case f.state == "timeout":
			want = tools.ScriptTimeout
		case f.exit != 0:
			want = tools.ScriptFailed
		}
		if target.Outcome != outcome || run.State != want {
			t.Errorf("%s: %s, %q, want %s, %q of %+v", target.ID, target.Outcome, run.State, outcome, want, f)
		}
		ended := want == tools.ScriptSucceeded || want == tools.ScriptFailed || want == tools.ScriptTimeout
		for _, c := range run.Containers {
			if (c.ExitCode != nil) != ended || ended && *c.ExitCode != f.exit {
				t.Errorf("%s: %+v of %+v", target.ID, c, f)
			}
		}
		if want == tools.ScriptSucceeded {
			good++
		}
	}
	if all := good == len(order); all != (result.State == "done") {
		t.Errorf("%s with %d of %d", result.State, good, len(order))
	}
}

// wantAudit compares the audit log with the result.
func (s *staging) wantAudit(t *testing.T, result reply, records []audit.Record) {
	t.Helper()
	last := records[len(records)-1]
	if last.Event != "result" || last.State != result.State || len(last.Outcomes) != len(result.Targets) {
		t.Fatalf("the last record is %+v", last)
	}
	for i, target := range result.Targets {
		if o := last.Outcomes[i]; o.ID != target.ID || o.Outcome != string(target.Outcome) {
			t.Errorf("the record says %+v, and the result %s of %s", o, target.Outcome, target.ID)
		}
	}
}
