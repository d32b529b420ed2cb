package tools_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// The laws of a life. Each is named where it is broken; the caps are those that the operator set, and everything else is
// what the simulator has.

// deed is a call of a tool: what was asked, what was sent for it, and what came of it.
type deed struct {
	number int
	party  *party
	tool   string
	args   arguments
	alone  bool // nothing else happened meanwhile
	writes []write
	reply  reply
	err    error

	before, after map[string]simulator.Instance
}

// name is what the client of the call is called, by which its audit records are known.
func (d *deed) name() string { return fmt.Sprintf("%s's call %d", d.party.name, d.number) }

// key is what a preview is of.
func (d *deed) key() string {
	a := maps.Clone(d.args)
	delete(a, "confirm")
	delete(a, "preview_token")
	return d.party.name + d.tool + string(encoded(a))
}

// issue is a preview token that was given out.
type issue struct {
	key  string
	at   time.Time
	used *deed
}

// sequel is an audit record, and how many writes had been sent when it was made.
type sequel struct {
	audit.Record
	sent int
}

// recorder is the audit log of a life.
type recorder life

// Append implements toolbox.Recorder.
func (r *recorder) Append(_ context.Context, record audit.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, sequel{record, r.count})
	return nil
}

// write is a request that changes something.
type write struct {
	endpoint simulator.Endpoint
	region   string
	ids      []string // of a create: its name
	size     int      // accelerators × containers of a create, accelerators of a container of a resize
	number   int      // of the writes before it
}

func newWrite(endpoint simulator.Endpoint, region, query, body string) write {
	w := write{endpoint: endpoint, region: region}
	values, _ := url.ParseQuery(query)
	var fields struct {
		ID                  string
		InstanceServiceName string
		GPUNumber           int
		TaskNumber          int
	}
	_ = json.Unmarshal([]byte(body), &fields)
	switch endpoint {
	case simulator.EndpointCreate:
		w.ids, w.size = []string{fields.InstanceServiceName}, fields.GPUNumber*fields.TaskNumber
	case simulator.EndpointResize:
		w.ids, w.size = []string{fields.ID}, fields.GPUNumber
	case simulator.EndpointRestart:
		w.ids = values["instanceServiceId"]
	default:
		w.ids = values["ids"]
	}
	return w
}

func (w write) String() string {
	return fmt.Sprintf("%s %s %v %d", w.endpoint, w.region, w.ids, w.size)
}

// writeEndpoint tells what a request changes.
func writeEndpoint(r *http.Request) (simulator.Endpoint, bool) {
	for _, each := range []struct {
		method, end string
		endpoint    simulator.Endpoint
	}{
		{http.MethodPost, "/actions/restart", simulator.EndpointRestart}, {http.MethodPost, "/actions/stop", simulator.EndpointStop},
		{http.MethodPost, "/actions/update", simulator.EndpointResize}, {http.MethodPost, "/instance-service/task", simulator.EndpointCreate},
		{http.MethodDelete, "/instance-service/task", simulator.EndpointDelete},
	} {
		if r.Method == each.method && strings.HasSuffix(r.URL.Path, each.end) {
			return each.endpoint, true
		}
	}
	return "", false
}

// bodyOf reads a body, which stays to be read.
func bodyOf(r *http.Request) string {
	if r.GetBody == nil {
		return ""
	}
	body, err := r.GetBody()
	if err != nil {
		return ""
	}
	all, _ := io.ReadAll(body)
	return string(all)
}

func ends(status string) bool {
	return status == simulator.Terminated || status == simulator.Failed || status == simulator.Completed
}

func accelerators(in simulator.Instance) int { return in.GPUNumber * max(in.TaskNumber, 1) }

// state is what the simulator has, by id.
func (l *life) state() map[string]simulator.Instance {
	all := map[string]simulator.Instance{}
	for _, region := range []string{home, away} {
		for _, in := range l.Instances(region) {
			all[in.ID] = in
		}
	}
	return all
}

// occupied counts the accelerators of what has not ended.
func (l *life) occupied() (n int) {
	for _, in := range l.state() {
		if !ends(in.Status) {
			n += accelerators(in)
		}
	}
	return n
}

// watch holds the account to the limit on what is occupied, at this moment. What the console has started beyond it is let be.
func (l *life) watch() {
	n := l.occupied()
	l.mu.Lock()
	defer l.mu.Unlock()
	if n > l.ceiling {
		l.breaks("cap on running", "%d accelerators are occupied, %d may be", n, l.ceiling)
	}
	l.ceiling = max(lifeRunning, min(l.ceiling, n))
}

// breaks notes the first law that is broken. The caller holds l.mu.
func (l *life) breaks(law, format string, args ...any) {
	if l.broken == "" {
		l.broken = law + ": " + fmt.Sprintf(format, args...)
		l.log = append(l.log, time.Now().Format(time.TimeOnly)+" BROKEN "+l.broken)
	}
}

// judgeWrite judges a write right before the service gets it. The caller holds l.mu.
func (l *life) judgeWrite(d *deed, w write) {
	p, all := d.party, l.state()
	for _, earlier := range d.writes {
		for _, id := range earlier.ids {
			if slices.Contains(w.ids, id) {
				l.breaks("no repetition", "%s sent %v after %v", d.name(), w, earlier)
			}
		}
	}
	l.judgeConsent(d)
	total := 0
	for _, id := range w.ids {
		name := id
		if w.endpoint != simulator.EndpointCreate {
			name = all[id].Name
		}
		if slices.ContainsFunc(p.protect, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			l.breaks("protected", "%s sent %v about %q", d.name(), w, name)
		}
		switch w.endpoint {
		case simulator.EndpointCreate:
			total = w.size
		case simulator.EndpointResize:
			total = w.size * max(all[id].TaskNumber, 1)
		case simulator.EndpointRestart:
			total = accelerators(all[id])
		}
	}
	if most := p.policy.MaxAccelerators; total > most {
		l.breaks("cap on one call", "%s sent %v about %d accelerators of %d", d.name(), w, total, most)
	}
	running := cmp.Or(p.policy.MaxRunningAccelerators, lifeRunning)
	if starts := w.endpoint == simulator.EndpointCreate || w.endpoint == simulator.EndpointRestart; starts && l.occupied()+total > running {
		l.breaks("cap on running", "%s sent %v for %d more when %d were occupied of %d", d.name(), w, total, l.occupied(), running)
	}
	targets := len(w.ids)
	for _, earlier := range d.writes {
		targets += len(earlier.ids)
	}
	if most := min(cmp.Or(p.policy.MaxTargets, lifeTargets), lifeTargets); targets > most {
		l.breaks("cap on targets", "%s sent %d of %d", d.name(), targets, most)
	}
	now := time.Now()
	for range w.ids {
		p.changed = append(p.changed, now)
	}
	hour := slices.DeleteFunc(slices.Clone(p.changed), func(at time.Time) bool {
		return now.Sub(at) > time.Hour-time.Minute // it is taken when a call begins, which may be a minute before
	})
	if len(hour) > p.budget {
		l.breaks("budget", "%s had %d things changed in an hour, of %d", p.name, len(hour), p.budget)
	}
}

// judgeConsent demands that the call of a write was let through by what the operator wants.
func (l *life) judgeConsent(d *deed) {
	if d.args["confirm"] != true {
		l.breaks("consent", "%s was not confirmed", d.name())
		return
	}
	if d.tool == "restart_instance" && d.party.policy.Consent[d.tool] == "" {
		return // the flag is enough
	}
	token, _ := d.args["preview_token"].(string)
	switch t := l.tokens[token]; {
	case t == nil:
		l.breaks("consent", "%s has no token", d.name())
	case t.key != d.key():
		l.breaks("consent", "%s has the token of %s", d.name(), t.key)
	case t.used != nil && t.used != d:
		l.breaks("consent", "%s has the token that %s has used", d.name(), t.used.name())
	case time.Since(t.at) > guard.TokenLifetime+time.Minute: // it is looked at when the call begins
		l.breaks("consent", "%s has a token that expired", d.name())
	default:
		t.used, l.used = d, token
	}
}

// judge judges a call that is over.
func (l *life) judge(d *deed) {
	if d.alone {
		l.judgeJournal()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if token := d.reply.Token; token != "" {
		l.tokens[token] = &issue{key: d.key(), at: time.Now()}
	}
	l.seen[d.reply.State]++
	var refusal *guard.Refusal
	if errors.As(d.err, &refusal) {
		l.seen["rule "+refusal.Rule]++
	}
	if d.err != nil && strings.Contains(toolbox.Explain(lang.English, d.err), "fault in the server") {
		l.breaks("no fault", "%s: %v", d.name(), d.err)
	}
	outcomes := l.judgeRecords(d)
	if !slices.Contains(lifeChanges, d.tool) {
		l.judgeRead(d)
		return
	}
	l.judgeOutcomes(d, outcomes)
	if d.alone {
		l.judgeEffects(d, outcomes)
	}
}

// judgeJournal demands that the simulator was sent exactly what calls have sent.
func (l *life) judgeJournal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	words := func(writes []write) (all []string) {
		for _, w := range writes {
			all = append(all, w.String())
		}
		slices.Sort(all)
		return all
	}
	var journal []write
	for _, r := range l.Requests()[l.journal:] {
		if l.journal++; !slices.Contains(mutating, r.Endpoint) {
			continue
		}
		journal = append(journal, newWrite(r.Endpoint, r.Region, r.Query, r.Body))
		if r.Status == 0 {
			l.seen["lost"]++
		}
	}
	if got, want := words(journal), words(l.sent); !slices.Equal(got, want) {
		l.breaks("journal", "the service got %q, of which calls sent %q", got, want)
	}
	l.sent = nil
}
