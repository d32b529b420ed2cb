package simulator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// Options configures a [Simulator]. The zero value is a usable demo.
type Options struct {
	// Now is the clock that signatures are checked against and every task follows; time.Now when nil. It must be safe for
	// concurrent use.
	Now func() time.Time
	// Seed makes ids deterministic.
	Seed uint64
	// Account owns everything; DemoAccount() when it has no projects.
	Account Account
	// Desktops are DemoDesktops() when nil.
	Desktops []Desktop
	// Pools are DemoPools() when nil.
	Pools []Pool
	// Scripts are DemoScripts() when nil.
	Scripts []Script
	// TaskIDs are the ids of the first tasks, to reproduce a documented example; the ids after them are made up.
	TaskIDs []string
	// Timing says how long a task takes.
	Timing Timing
	// Quirks are the initial switches; see SetQuirks.
	Quirks Quirks
}

// Timing is how long a task takes. Zero means the default, negative means no time at all.
type Timing struct {
	Init   time.Duration `key:"init" zero:"none"`   // from the request to the first batch; default 1s
	Script time.Duration `key:"script" zero:"none"` // one script on one desktop, unless its Outcome says otherwise; default 2s
}

// Simulator is one simulated Workspace. Its methods are safe for concurrent use.
type Simulator struct {
	now     func() time.Time
	account Account
	timing  Timing
	pools   []Pool

	mu         sync.Mutex // guards what follows
	rng        *rand.Rand
	quirks     Quirks
	tokens     map[string]time.Time // X-Auth-Token → expiry
	desktops   []*Desktop
	outcomes   map[outcomeKey]Outcome
	scripts    []*Script
	lastScript uint64
	taskIDs    []string
	tasks      []*task // oldest first
	url        string

	servers fakecloud.Servers
	faults  fakecloud.Faults[Operation, struct{}]
	journal fakecloud.Journal[Request]
}

// New returns a simulator that is not listening yet.
func New(o Options) *Simulator {
	s := &Simulator{
		now:     o.Now,
		account: o.Account,
		pools:   slices.Clone(o.Pools),
		timing: Timing{
			Init:   fakecloud.Duration(o.Timing.Init, time.Second),
			Script: fakecloud.Duration(o.Timing.Script, 2*time.Second),
		},
		rng:        rand.New(rand.NewPCG(o.Seed, 0x5C217)),
		tokens:     map[string]time.Time{},
		outcomes:   map[outcomeKey]Outcome{},
		lastScript: 923438311391891456,
		taskIDs:    slices.Clone(o.TaskIDs),
		journal:    fakecloud.Journal[Request]{Max: 10000},
		url:        "https://workspace.test",
	}
	if s.now == nil {
		s.now = time.Now
	}
	if len(s.account.Projects) == 0 {
		s.account = DemoAccount()
	}
	if o.Desktops == nil {
		o.Desktops = DemoDesktops()
	}
	if o.Pools == nil {
		s.pools = DemoPools()
	}
	if o.Scripts == nil {
		o.Scripts = DemoScripts()
	}
	for _, d := range o.Desktops {
		s.AddDesktop(d)
	}
	for _, script := range o.Scripts {
		s.AddScript(script)
	}
	s.SetQuirks(o.Quirks)
	return s
}

// newID returns 32 hex digits, the shape of the task id on page ExecuteScriptOrCommand. The caller holds s.mu.
func (s *Simulator) newID() string {
	return fmt.Sprintf("%016x%016x", s.rng.Uint64(), s.rng.Uint64())
}

// newUUID returns an id of the shape of a desktop's. The caller holds s.mu.
func (s *Simulator) newUUID() string {
	id := s.newID()
	return id[:8] + "-" + id[8:12] + "-4" + id[13:16] + "-8" + id[17:20] + "-" + id[20:]
}

// newScriptID returns a decimal number beyond 2^53, the shape of the script id on page ExecuteScriptOrCommand. The caller
// holds s.mu.
func (s *Simulator) newScriptID() string {
	s.lastScript += 1 + s.rng.Uint64N(1<<40)
	return fmt.Sprint(s.lastScript)
}

// newTaskID returns the id of the next task. The caller holds s.mu.
func (s *Simulator) newTaskID() string {
	if len(s.taskIDs) == 0 {
		return s.newID()
	}
	id := s.taskIDs[0]
	s.taskIDs = s.taskIDs[1:]
	return id
}
