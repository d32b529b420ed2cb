package simulator

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// Options configures a [Simulator]. The zero value is a usable demo.
type Options struct {
	// Now is the clock every state transition and expiry derives from; time.Now when nil. It must be safe for concurrent use.
	Now func() time.Time
	// Seed makes ids and tokens deterministic.
	Seed uint64
	// Account owns the regions; DemoAccount() when zero.
	Account Account
	// OtherAccounts can log in too. They have no resources in any region, so all they are given is a platform token.
	OtherAccounts []Account
	// Regions the account has resources in; DemoRegions(now) when nil. An empty, non-nil slice gives an account without
	// regions.
	Regions []Region
	// TokenLifetime is 12 hours when zero. The pages do not state it.
	TokenLifetime time.Duration
	// Timing says how long a started instance takes to run.
	Timing Timing
	// Quirks are the initial switches; see SetQuirks.
	Quirks Quirks
	// OnScript, if set, is given every script that is accepted, before the request is answered. A test can let a shell run
	// it, on a directory that is a region's Storage too. It may call the simulator.
	OnScript func(ScriptRun)
}

// Timing is the time that an instance spends in states it does not stay in. Zero means the default, negative means none.
type Timing struct {
	Waiting   time.Duration `key:"waiting" zero:"none"`   // default 3s
	Deploying time.Duration `key:"deploying" zero:"none"` // default 2s
	// Stopping is how long a stop takes; none when zero. The pages do not say that it takes any.
	Stopping time.Duration `key:"stopping" zero:"none"`
}

// Account is one SCNet login with one key pair.
type Account struct {
	User      string // platform login name
	AccessKey string
	SecretKey string
	// Password and OrgID serve the password login, which SCNet offers to third parties only; it is refused while either is
	// empty.
	Password string
	OrgID    string
}

// Simulator is one simulated SCNet. Its methods are safe for concurrent use.
type Simulator struct {
	now      func() time.Time
	accounts []Account // the first one owns the regions
	lifetime time.Duration
	timing   Timing
	signKey  []byte
	onScript func(ScriptRun)
	regions  []*region
	main     *host

	mu      sync.Mutex // guards what follows, and the regions' contents
	rng     *rand.Rand
	quirks  Quirks
	revoked map[string]bool // tokens an ExpireToken fault has killed

	servers fakecloud.Servers
	faults  fakecloud.Faults[Endpoint, OwnFault]
	journal fakecloud.Journal[Request]
	scripts fakecloud.Journal[ScriptRun]
}

// New returns a simulator that is not listening yet.
func New(o Options) *Simulator {
	s := &Simulator{
		now:      o.Now,
		lifetime: o.TokenLifetime,
		onScript: o.OnScript,
		timing: Timing{
			Waiting:   fakecloud.Duration(o.Timing.Waiting, 3*time.Second),
			Deploying: fakecloud.Duration(o.Timing.Deploying, 2*time.Second),
			Stopping:  fakecloud.Duration(o.Timing.Stopping, 0),
		},
		rng:     rand.New(rand.NewPCG(o.Seed, 0x5C4E7)),
		revoked: map[string]bool{},
		journal: fakecloud.Journal[Request]{Max: 10000},
		scripts: fakecloud.Journal[ScriptRun]{Max: 1000},
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.lifetime == 0 {
		s.lifetime = 12 * time.Hour
	}
	key := sha256.Sum256(fmt.Appendf(nil, "scnet simulator %d", o.Seed))
	s.signKey = key[:]
	if o.Account == (Account{}) {
		o.Account = DemoAccount()
	}
	s.accounts = append([]Account{o.Account}, o.OtherAccounts...)
	now := s.now()
	if o.Regions == nil {
		o.Regions = DemoRegions(now)
	}
	s.SetQuirks(o.Quirks)
	s.main = &host{sim: s, routes: platformRoutes, url: "https://scnet.test"}
	for _, r := range o.Regions {
		s.regions = append(s.regions, s.newRegion(r, now))
	}
	return s
}

// SetQuirks replaces all switches; it may be called while requests are served.
func (s *Simulator) SetQuirks(q Quirks) {
	q.StatusWords = maps.Clone(q.StatusWords)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quirks = q
}

// newID returns 32 hex digits, the shape of all ids on the pages. The caller holds s.mu, or is New.
func (s *Simulator) newID() string {
	return fmt.Sprintf("%016x%016x", s.rng.Uint64(), s.rng.Uint64())
}

// region returns the region with the given id, or nil.
func (s *Simulator) region(id string) *region {
	for _, r := range s.regions {
		if r.ID == id {
			return r
		}
	}
	return nil
}
