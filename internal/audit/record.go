package audit

import "time"

// Event says at which point of a call a record was written.
type Event string

// The events. Every call ends in a Result, Refused, Previewed or Declined.
const (
	Intent    Event = "intent"    // about to act
	Result    Event = "result"    // after acting; its Call is that of the intent
	Refused   Event = "refused"   // by policy or for want of consent
	Previewed Event = "previewed" // shown what would happen, nothing done
	Declined  Event = "declined"  // a human said no
	Opened    Event = "opened"    // first record of every file, written by the log itself
)

// Record is one line of the log. Zero fields are left out.
//
// A record must not hold secrets: the log writes what it is given, and a written record cannot be taken back without
// breaking the chain. Arguments and scripts belong in it as digests.
type Record struct {
	Seq   uint64    `json:"seq"`
	Time  time.Time `json:"time"`
	Event Event     `json:"event"`
	Call  string    `json:"call,omitempty"` // joins an intent and its result

	Caller        string `json:"caller,omitempty"`
	Client        string `json:"client,omitempty"`
	ClientVersion string `json:"client_version,omitempty"`
	Transport     string `json:"transport,omitempty"`
	Server        string `json:"server,omitempty"`

	Tool      string            `json:"tool,omitempty"`
	Risk      string            `json:"risk,omitempty"`
	Region    string            `json:"region,omitempty"`
	Targets   []Target          `json:"targets,omitempty"`
	Arguments map[string]string `json:"arguments,omitempty"` // name to digest, or to a value that may be shown
	Script    *Script           `json:"script,omitempty"`

	Rule    string `json:"rule,omitempty"`    // the policy rule that decided
	Consent string `json:"consent,omitempty"` // how consent was given, or why not
	Token   string `json:"token,omitempty"`   // the id of a preview token, never the token

	State      string    `json:"state,omitempty"`
	Outcomes   []Outcome `json:"outcomes,omitempty"`
	Error      string    `json:"error,omitempty"`
	DurationMS int64     `json:"duration_ms,omitempty"`
	Trace      string    `json:"trace,omitempty"`

	Continues string `json:"continues,omitempty"` // in an opened record: the file that Prev is the last hash of
	Note      string `json:"note,omitempty"`      // what the log did to the record or to itself: cut, repaired

	Prev string `json:"prev"`           // the hash of the record before, 64 zeros when there is none
	Hash string `json:"hash,omitempty"` // appended by seal: it covers everything before it
}

// Target is an instance as it was when the call resolved it.
type Target struct {
	ID     string `json:"id"`
	Name   string `json:"name,omitempty"`
	Status string `json:"status,omitempty"`
}

// Script stands for the text of a script.
type Script struct {
	SHA256 string `json:"sha256"`
	Bytes  int    `json:"bytes"`
}

// Outcome is what became of one target.
type Outcome struct {
	ID      string `json:"id"`
	Outcome string `json:"outcome"`
	Code    string `json:"code,omitempty"`
	NewID   string `json:"new_id,omitempty"`
}
