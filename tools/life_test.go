package tools_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

var (
	lifeSeeds = flag.Uint64("life.seeds", 16, "how many lives of instances to play")
	lifeFirst = flag.Uint64("life.first", 40, "the seed of the first")
)

// TestLifeOfInstances lets two callers with different policies do at random what can be done to instances, while the service
// fails in every way that the simulator knows. What holds, whatever happens, is in life_laws_test.go; it is judged by the
// simulator's journal and its instances, never by what the server says of itself.
func TestLifeOfInstances(t *testing.T) {
	sum := map[string]int{}
	for seed := *lifeFirst; seed < *lifeFirst+*lifeSeeds; seed++ {
		history := newHistory(seed)
		l := play(t, seed, history)
		if l.broken == "" {
			for what, n := range l.seen {
				sum[what] += n
			}
			continue
		}
		history, l = shortest(t, seed, history[:l.played], l)
		moves := make([]string, len(history))
		for i, m := range history {
			moves[i] = fmt.Sprintf("%+v", m)
		}
		t.Fatalf("seed %d: %s\n\nThe moves that are needed for it:\n%s\n\nWhat happened:\n%s\n\nagain: go test ./tools -run TestLifeOfInstances -life.first=%d -life.seeds=1",
			seed, l.broken, strings.Join(moves, "\n"), strings.Join(l.log, "\n"), seed)
	}
	for _, what := range []string{ // lives in which nothing happens show nothing
		"write create", "write restart", "write stop", "write delete", "write resize", "overlap", "lost", "confirmation_required",
		"created", "accepted", "stopped", "deleted", "resized", "unknown", "refused", "not_found", "already_stopped",
		"rule max-accelerators", "rule max-running-accelerators", "rule protect", "rule max-mutations-per-hour",
	} {
		if sum[what] == 0 && *lifeSeeds >= 16 {
			t.Errorf("%q never happened in %d lives", what, *lifeSeeds)
		}
	}
	t.Logf("%v", sum)
}

// shortest leaves out of a history whatever is not needed to break the same law.
func shortest(t *testing.T, seed uint64, history []move, broken *life) ([]move, *life) {
	law, _, _ := strings.Cut(broken.broken, ":")
	for size := max(len(history)/2, 1); ; size = max(size/2, 1) {
		before := len(history)
		for at := 0; at < len(history); {
			fewer := slices.Delete(slices.Clone(history), at, min(at+size, len(history)))
			if l := play(t, seed, fewer); strings.HasPrefix(l.broken, law+":") {
				history, broken = fewer[:min(l.played, len(fewer))], l
				continue
			}
			at += size
		}
		if size == 1 && len(history) == before {
			break
		}
	}
	for i := range history {
		simpler := slices.Clone(history)
		simpler[i].beside = false
		if l := play(t, seed, simpler); history[i].beside && strings.HasPrefix(l.broken, law+":") {
			return shortest(t, seed, simpler[:min(l.played, len(simpler))], l)
		}
	}
	return history, broken
}

// move is one thing that happens. It stands for itself, so that a history can be played without some of its moves.
type move struct {
	do        string // a tool, or what else happens
	caller    int
	on        []int // instances, by their place among all that ever were, modulo how many those are
	size      int   // accelerators of a container
	many      int   // containers
	wait      int   // seconds
	confirm   confirming
	beside    bool // the next move begins before this one is over
	span      time.Duration
	fault     simulator.Fault
	elsewhere bool // in the second region
}

// confirming is how a caller goes about consent.
type confirming string

const (
	properly confirming = "properly" // preview, then confirm it
	onlyLook confirming = "only look"
	byFlag   confirming = "by flag"  // confirm=true without a preview
	tooLate  confirming = "too late" // the token has expired
	again    confirming = "again"    // with a token that was used before, or is somebody else's
)

var lifeChanges = []string{"create_instance", "restart_instance", "stop_instances", "delete_instances", "resize_instance"}

// newHistory makes up what happens in one life.
func newHistory(seed uint64) (history []move) {
	random := rand.New(rand.NewPCG(seed, 10))
	kinds := slices.Concat(lifeChanges, lifeChanges, lifeChanges, []string{
		"create_instance", "restart_instance", "list_instances", "get_instance", "fault", "fault", "fault", "fault", "time passes", "time passes", "the console",
	})
	faults := []simulator.Fault{
		{Reset: true}, {ResetAfter: true}, {ResetAfter: true}, {HangAfter: true}, {Truncate: true}, {Status: 503}, {HTML: true}, {Own: simulator.OwnFault{ExpireToken: true}},
		{Code: "10001"}, {Code: "716865"}, {Code: "716868"}, {Code: "10004"}, {Latency: 4 * time.Second}, {Latency: 30 * time.Second},
	}
	spans := []time.Duration{time.Second, 4 * time.Second, 20 * time.Second, 2 * time.Minute, 11 * time.Minute, 31 * time.Minute}
	reads := []simulator.Endpoint{simulator.EndpointList, simulator.EndpointDetail}
	for range 60 {
		m := move{
			do: kinds[random.IntN(len(kinds))], caller: random.IntN(2), size: 1 + random.IntN(4), many: 1 + random.IntN(2), wait: random.IntN(3) * 12,
			beside: random.IntN(5) == 0, span: spans[random.IntN(len(spans))], elsewhere: random.IntN(3) == 0,
			confirm: []confirming{properly, properly, properly, properly, properly, properly, onlyLook, byFlag, byFlag, tooLate, again}[random.IntN(11)],
		}
		for range 1 + random.IntN(3)*random.IntN(2) {
			m.on = append(m.on, random.IntN(1000))
		}
		if m.do == "fault" {
			m.fault = faults[random.IntN(len(faults))]
			m.fault.Endpoint = mutating[random.IntN(len(mutating))]
			if random.IntN(4) == 0 {
				m.fault.Endpoint = reads[random.IntN(len(reads))]
			}
			m.fault.After, m.fault.Times = random.IntN(8)/7, 1+random.IntN(2)
		}
		history = append(history, m)
		if m.beside && slices.Contains(lifeChanges, m.do) {
			history = append(history[:len(history)-1], rush(random, m)...)
		}
	}
	return history
}

// rush makes two moves of one: both start something at the same time, or one starts what the other one resizes.
func rush(random *rand.Rand, first move) []move {
	first.confirm = properly
	second := first
	second.caller, second.beside = random.IntN(2), false
	switch random.IntN(3) {
	case 0:
		first.do, second.do = "create_instance", "restart_instance"
	case 1:
		first.do, second.do = "resize_instance", "restart_instance"
		first.size = 4 - random.IntN(2)
	case 2:
		first.do, second.do = "restart_instance", []string{"create_instance", "restart_instance"}[random.IntN(2)]
		second.on = []int{random.IntN(1000)}
	}
	if random.IntN(2) == 0 {
		first.do, second.do = second.do, first.do
	}
	return []move{first, second}
}

// party is a caller and what the operator allows it.
type party struct {
	name    string
	policy  guard.Policy
	budget  int
	protect []string // beginnings of names
	box     *toolbox.Toolbox
	changed []time.Time // of everything that it had changed
}

// life is a history under way.
type life struct {
	*world
	t       *testing.T
	parties []*party
	played  int // moves

	mu      sync.Mutex
	known   []string // ids, in the order in which they were first seen
	ceiling int      // what may be occupied, which the console may exceed
	deeds   int
	journal int               // how many of the journal's requests have been judged
	sent    []write           // since then
	count   int               // of all that were sent
	records []sequel          // of the audit log
	tokens  map[string]*issue // preview tokens
	used    string            // the last token that consented
	broken  string            // the law that was broken first, and how
	log     []string
	seen    map[string]int
}

const (
	lifeRunning = 8 // accelerators at once
	lifeTargets = 3
	lifeBudget  = 7
)

// play plays a history from the beginning.
func play(t *testing.T, seed uint64, history []move) (l *life) {
	synctest.Test(t, func(t *testing.T) {
		l = newLife(t, seed)
		for l.played < len(history) && l.broken == "" {
			m := history[l.played]
			l.played++
			if !m.beside || l.played == len(history) {
				l.happen(m, true)
				continue
			}
			next := history[l.played]
			l.played++
			if !slices.Contains(lifeChanges, m.do) || !slices.Contains(lifeChanges, next.do) {
				l.happen(m, true)
				l.happen(next, true)
				continue
			}
			l.note("overlap", "the next two moves overlap")
			var both sync.WaitGroup
			both.Go(func() { l.happen(m, false) })
			both.Go(func() {
				<-time.After(time.Duration(m.on[0]%60) * time.Millisecond)
				l.happen(next, false)
			})
			both.Wait()
			l.judgeJournal()
		}
	})
	return l
}

func newLife(t *testing.T, seed uint64) *life {
	random := rand.New(rand.NewPCG(seed, 11))
	in := func(i int, name, status string, accelerators, containers int) simulator.Instance {
		in := model()
		in.ID, in.Name, in.Status, in.GPUNumber, in.TaskNumber, in.ResourceGroup = id(i), name, status, accelerators, containers, "g"
		in.CreateTime = time.Now().Add(-time.Duration(20-i) * time.Hour)
		return in
	}
	flip := func() bool { return random.IntN(2) == 0 }
	l := &life{
		t: t, ceiling: lifeRunning, tokens: map[string]*issue{}, seen: map[string]int{},
		known: []string{id(1), id(2), id(3), id(4), id(5), id(6), id(99)},
	}
	l.world = newWorld(t, setup{
		instances: []simulator.Instance{
			in(1, "job-1", simulator.Running, 2, 1), in(2, "keep-2", simulator.Running, 1, 1), in(3, "prod-3", simulator.Terminated, 1, 2),
			in(4, "job-4", simulator.Failed, 1, 1),
		},
		elsewhere: []simulator.Instance{in(5, "job-5", simulator.Terminated, 2, 1), in(6, "job-6", simulator.Completed, 1, 1)},
		groups: []simulator.ResourceGroup{ // four accelerators in each region
			{Name: "g", AcceleratorType: "dcu", CPUNumber: 64, GPUNumber: 4, MemorySize: 200_000, NodeNumber: 1},
		},
		timing: simulator.Timing{Waiting: 3 * time.Second, Deploying: 2 * time.Second, Stopping: time.Duration(random.IntN(2)) * 8 * time.Second},
		quirks: simulator.Quirks{
			CardsRunOut: flip(), CreateChecks: true, StopEndedFails: flip(), DeleteActiveFails: flip(),
			DeleteBatch: simulator.DeleteBatch(random.IntN(3)), RestartID: simulator.RestartID(random.IntN(2)),
		},
		rules: toolbox.Rules{MaxMutationsPerHour: lifeBudget, Audit: (*recorder)(l), State: guard.NewMemory(time.Now), Policy: guard.Policy{
			MaxTargets: lifeTargets, MaxRunningAccelerators: lifeRunning, Protect: patterns(t, "name:keep-*"),
		}},
	})
	l.wire.Before = l.before
	l.parties = []*party{
		{name: "ops", policy: guard.Policy{Caller: "ops", MaxAccelerators: 6}, budget: lifeBudget, protect: []string{"keep-"}},
		{name: "ci", budget: 3, protect: []string{"keep-", "prod-"}, policy: guard.Policy{
			Caller: "ci", MaxAccelerators: 3, MaxRunningAccelerators: 6, MaxTargets: 2, Protect: patterns(t, "name:prod-*"),
			Consent: map[string]guard.Level{"restart_instance": guard.Preview},
		}},
	}
	for _, p := range l.parties {
		if flip() { // a replica, which shares nothing but the state
			rules := l.rules
			rules.Accelerators = guard.NewAccelerators(rules.State, time.Now)
			l.toolbox = toolbox.New(rules, l.tools)
		}
		p.box = l.toolbox.ForCaller(p.name, p.policy, guard.Fixed(p.policy), p.budget)
	}
	return l
}

// happen lets a move happen. alone says that nothing else happens meanwhile.
func (l *life) happen(m move, alone bool) {
	p := l.parties[m.caller]
	switch m.do {
	case "fault":
		l.note("fault", "fault: "+m.fault.String())
		l.Inject(m.fault)
	case "time passes":
		l.note("time passes", "time passes: "+m.span.String())
		<-time.After(m.span)
		l.watch()
	case "the console":
		l.console(m)
	case "list_instances", "get_instance":
		a := arguments{"instance_id": l.pick(m.do, m.on[:1])[0]}
		if m.do == "list_instances" {
			a = arguments{"region": map[bool]string{false: home, true: away}[m.elsewhere]}
		}
		l.do(p, m.do, a, alone)
	default:
		l.change(p, m, alone)
	}
}

// change calls a tool that changes something, in one way or another of going about its consent.
func (l *life) change(p *party, m move, alone bool) {
	a := l.arguments(m)
	confirmed := a.with(arguments{"confirm": true})
	token := func(word string) arguments { return confirmed.with(arguments{"preview_token": word}) }
	switch m.confirm {
	case byFlag:
		l.do(p, m.do, confirmed, alone)
		return
	case again:
		l.do(p, m.do, token(l.used), alone)
		return
	}
	preview := l.do(p, m.do, a, alone)
	if preview.Token == "" || m.confirm == onlyLook {
		return
	}
	if m.confirm == tooLate {
		<-time.After(guard.TokenLifetime + time.Second)
	}
	l.do(p, m.do, token(preview.Token), alone)
	if m.confirm == properly && m.wait == 0 {
		l.do(p, m.do, token(preview.Token), alone) // a model that repeats itself
	}
}

func (l *life) arguments(m move) arguments {
	switch on := l.pick(m.do, m.on); m.do {
	case "create_instance":
		a := arguments{
			"name": fmt.Sprintf("%s-%d", []string{"job", "job", "job", "job", "job", "prod", "keep"}[m.on[0]%7], m.on[0]), "task_type": "ssh", "accelerator_type": "dcu",
			"resource_group": "g", "image": torch.Name + ":" + torch.Tag, "accelerators": m.size, "containers": m.many, "cpus": 8, "memory_mb": 1024,
			"time_limit": "unlimited", "region": map[bool]string{false: home, true: away}[m.elsewhere], "wait_seconds": m.wait,
		}
		if m.span == time.Second {
			a = arguments{"name": a["name"], "like": on[0], "time_limit": "900h", "wait_seconds": m.wait}
		}
		return a
	case "restart_instance":
		return arguments{"instance_id": on[0], "wait_seconds": m.wait}
	case "resize_instance":
		return arguments{"instance_id": on[0], "accelerators": m.size}
	case "stop_instances":
		return arguments{"instance_ids": on, "wait_seconds": m.wait}
	default:
		return arguments{"instance_ids": on}
	}
}

// pick names instances: mostly such as a tool is for, if there are any, and sometimes one that is gone.
func (l *life) pick(tool string, places []int) (picked []string) {
	all := l.state()
	l.mu.Lock()
	defer l.mu.Unlock()
	suit := slices.DeleteFunc(slices.Clone(l.known), func(id string) bool {
		in, there := all[id]
		starts := tool == "restart_instance" || tool == "resize_instance"
		return !there || strings.HasPrefix(in.Name, "keep-") || starts != ends(in.Status) && (starts || tool == "stop_instances")
	})
	for _, place := range places {
		among := l.known
		if place%6 > 0 && len(suit) > 0 {
			among = suit
		}
		if id := among[place%len(among)]; !slices.Contains(picked, id) {
			picked = append(picked, id)
		}
	}
	return picked
}

// console is somebody else, in the web console, whom no policy holds.
func (l *life) console(m move) {
	id := l.pick(m.do, m.on[:1])[0]
	what := []string{"start", "start", "stop", "rename", "delete", "fail", "fail"}[m.on[0]%7]
	for _, region := range []string{home, away} {
		if what == "delete" {
			l.RemoveInstance(region, id)
			continue
		}
		l.UpdateInstance(region, id, func(in *simulator.Instance) {
			switch {
			case what == "start" && ends(in.Status):
				in.Status = ""
			case what == "stop" && !ends(in.Status):
				in.Status = simulator.Terminated
			case what == "rename":
				in.Name = "keep-" + in.Name
			case what == "fail":
				in.Status = simulator.Failed
			}
		})
	}
	l.note("the console", "the console: "+what+" "+id)
	l.mu.Lock()
	l.ceiling = max(lifeRunning, l.occupied())
	l.mu.Unlock()
}

// do makes a call and judges it.
func (l *life) do(p *party, tool string, a arguments, alone bool) reply {
	l.mu.Lock()
	l.deeds++
	d := &deed{number: l.deeds, party: p, tool: tool, args: a, alone: alone, before: l.state()}
	l.mu.Unlock()
	caller := toolbox.Caller{Name: p.name, Client: d.name(), Transport: "stdio"}
	mine := *l.world
	mine.toolbox = p.box
	d.reply, d.err = mine.try(context.WithValue(l.t.Context(), deedKey{}, d), toolbox.Call{Tool: tool, Caller: caller, Arguments: encoded(a)})
	l.watch()
	l.mu.Lock()
	d.after = l.state()
	said := fmt.Sprint(d.reply.Text)
	if d.err != nil {
		said = "ERROR " + toolbox.Explain(lang.English, d.err)
	}
	l.log = append(l.log, fmt.Sprintf("%s %s %s %s\n    sent %v\n    %s", time.Now().Format(time.TimeOnly), d.name(), tool, encoded(a), d.writes,
		strings.ReplaceAll(said, "\n", "\n    ")))
	for id := range d.after {
		if !slices.Contains(l.known, id) {
			l.known = append(l.known, id)
		}
	}
	l.mu.Unlock()
	l.judge(d)
	return d.reply
}

type deedKey struct{}

// before sees every request before the service does. Requests take their time, so that what overlaps is interleaved.
func (l *life) before(r *http.Request) {
	l.mu.Lock()
	l.seen["requests"]++
	pause := time.Duration(5+l.seen["requests"]%7) * time.Millisecond
	l.mu.Unlock()
	<-time.After(pause)
	l.watch()
	endpoint, ok := writeEndpoint(r)
	if !ok {
		return
	}
	body, region := bodyOf(r), strings.TrimSuffix(strings.TrimPrefix(r.URL.Host, "region-"), ".scnet.test")
	w := newWrite(endpoint, region, r.URL.RawQuery, body)
	d, _ := r.Context().Value(deedKey{}).(*deed)
	l.mu.Lock()
	defer l.mu.Unlock()
	w.number = l.count
	l.count++
	l.sent = append(l.sent, w)
	l.seen["write "+string(endpoint)]++
	if d == nil {
		l.breaks("consent", "%v belongs to no call", w)
		return
	}
	l.judgeWrite(d, w)
	d.writes = append(d.writes, w)
}

// note counts what happened, and keeps it for the report.
func (l *life) note(what, words string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen[what]++
	l.log = append(l.log, time.Now().Format(time.TimeOnly)+" "+words)
}
