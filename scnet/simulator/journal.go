package simulator

import "time"

// Request is one request served, as kept in the journal.
type Request struct {
	Time     time.Time
	Endpoint Endpoint // empty for an unknown route
	// Region is the region asked, on the platform hosts the region of the token sent; empty if there is none.
	Region string
	Method string
	Path   string
	Query  string // raw, without the question mark
	Body   string // the first 4096 bytes
	Status int    // HTTP status; 0 if the connection was cut instead
	Code   string // business code; empty if the answer had none
}

// ScriptRun is one script the execute operation accepted. It is kept, not run.
type ScriptRun struct {
	Time       time.Time
	Region     string
	InstanceID string
	Scope      string // all or header
	Content    string
}

// Requests returns the latest requests served, oldest first: at least the last 10,000. A request is in the journal before its
// answer is sent.
func (s *Simulator) Requests() []Request { return s.journal.All() }

// Scripts returns the latest scripts accepted, oldest first: at least the last 1,000.
func (s *Simulator) Scripts() []ScriptRun { return s.scripts.All() }
