package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	clean "github.com/scnet-mcp/scnet-mcp/internal/text"
)

// Event says at which point of a call a record was written.
type Event string

// The events. Every call ends in a Result, Refused, Previewed, Declined or NothingToDo.
const (
	Intent    Event = "intent"    // about to act
	Result    Event = "result"    // after acting; its Call is that of the intent
	Refused   Event = "refused"   // by policy, or because consent is missing
	Previewed Event = "previewed" // shown what would happen, nothing done
	Declined  Event = "declined"  // a human said no

	NothingToDo Event = "nothing_to_do" // no target that the call would have changed

	// The log itself writes these.
	Opened Event = "opened" // first record of every file
	// Checkpointed signs every record before it.
	Checkpointed Event = "checkpoint"
	Summed       Event = "summed" // stands for attempts of one caller that came too fast to be written one by one
)

// isAttempt reports whether the event ends a call that changed nothing. Such records stand in a file of their own.
func (e Event) isAttempt() bool {
	return e == Refused || e == Previewed || e == Declined || e == NothingToDo || e == Summed
}

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
	Issuer        string `json:"iss,omitempty"` // with sub and client_id: whom the caller's access token was issued to
	Subject       string `json:"sub,omitempty"`
	ClientID      string `json:"client_id,omitempty"`
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
	Removed   *Mark  `json:"removed,omitempty"`   // in an opened record: the last record of the files that retention removed
	After     uint64 `json:"after,omitempty"`     // in the file of attempts: the last change that was recorded before
	Sum       *Sum   `json:"sum,omitempty"`       // in a summed record
	Log       string `json:"log,omitempty"`       // in an opened record: the name of the chain; its own hash begins with it in the first

	Checkpoint *Checkpoint `json:"checkpoint,omitempty"` // in a checkpoint

	Note string `json:"note,omitempty"` // what the log did to the record or to itself: cut, repaired

	Prev string `json:"prev"`           // the hash of the record before, 64 zeros when there is none
	Hash string `json:"hash,omitempty"` // appended by seal: it covers everything before it
}

// Mark names a record by its number and hash.
type Mark struct {
	Seq  uint64 `json:"seq"`
	Hash string `json:"hash"`
}

// Sum counts attempts of one caller. The time of its record is that of the last of them.
type Sum struct {
	Event Event     `json:"event"`
	Count int       `json:"count"`
	First time.Time `json:"first"`
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

// A line is a JSON object whose last member is the SHA-256 of the exact bytes before that member. Nothing in a line is
// outside the hash except the mark and the end, which have one spelling only.
const (
	maxLine    = 256 << 10 // bytes, line end included
	maxAttempt = 4 << 10   // of an attempt, unless escapes make its texts longer
	hashMark   = `,"hash":"`
	lineEnd    = "\"}\n"
	hashLen    = 2 * sha256.Size
	sealLen    = len(hashMark) + hashLen + len(lineEnd)
)

// firstPrev is the Prev of a record that nothing comes before.
var firstPrev = strings.Repeat("0", hashLen)

// encode returns r as a line and the hash of it.
func encode(r Record) (line []byte, hash string, err error) {
	body, err := fit(r)
	if err != nil {
		return nil, "", err
	}
	hash = sum(body)
	return slices.Concat(body, []byte(hashMark+hash+lineEnd)), hash, nil
}

// marshal returns r as JSON without hash and closing brace.
func marshal(r Record) ([]byte, error) {
	r.Hash = ""
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		return nil, lang.Errorf("an audit record cannot be encoded: %w", err)
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("}\n")), nil
}

// parse reads a line, line end included. The problem it returns has neither line nor seq.
func parse(line []byte) (Record, *Problem) {
	if len(line) < sealLen {
		return Record{}, &Problem{Kind: Unreadable, Detail: lang.T("the line is too short for a record")}
	}
	body, seal := line[:len(line)-sealLen], string(line[len(line)-sealLen:])
	hash := seal[len(hashMark) : len(hashMark)+hashLen]
	if seal != hashMark+hash+lineEnd || !isHash(hash) {
		return Record{}, &Problem{Kind: Unreadable, Detail: lang.T("the line does not end with a hash as records do")}
	}
	if sum(body) != hash {
		return Record{}, &Problem{Kind: Changed, Detail: lang.T("the record does not have the hash that it carries")}
	}
	var r Record
	if err := json.Unmarshal(line, &r); err != nil {
		return Record{}, &Problem{Kind: Unreadable, Detail: lang.T("the line is not a record: %v", err)}
	}
	r.Hash = hash
	return r, nil
}

func sum(body []byte) string {
	digest := sha256.Sum256(body)
	return hex.EncodeToString(digest[:])
}

func isHash(text string) bool {
	return len(text) == hashLen && strings.Trim(text, "0123456789abcdef") == ""
}

// Longest texts, in bytes before JSON escapes, which make up to six bytes of one. Without the lists, which fit shortens
// on its own, a record stays below half of maxLine at these limits.
const (
	maxText      = 256
	maxName      = 64 // of what a client calls itself
	maxError     = 2048
	maxNote      = 1024
	maxArguments = 32
)

// fit returns r as JSON, shortened until it fits into a line. The note says what was cut.
func fit(r Record) ([]byte, error) {
	r, cut := shorten(r)
	longest := maxLine
	if r.Event.isAttempt() {
		longest = maxAttempt
	}
	note, targets, outcomes := r.Note, len(r.Targets), len(r.Outcomes)
	for {
		said := slices.Clip(cut)
		if n := len(r.Targets); n < targets {
			said = append(said, fmt.Sprintf("%d of %d targets left out", targets-n, targets)) // not said to people
		}
		if n := len(r.Outcomes); n < outcomes {
			said = append(said, fmt.Sprintf("%d of %d outcomes left out", outcomes-n, outcomes)) // not said to people
		}
		r.Note = note
		if len(said) > 0 {
			r.Note = join(note, "cut: "+strings.Join(said, ", "))
		}
		body, err := marshal(r)
		if err != nil || len(body)+sealLen <= longest {
			return body, err
		}
		if len(r.Targets)+len(r.Outcomes) == 0 && len(r.Arguments) > 0 {
			r.Arguments, cut = nil, append(cut, "arguments left out") // not said to people
			continue
		}
		if len(r.Targets)+len(r.Outcomes) == 0 && longest < maxLine {
			longest = maxLine // its texts are as short as they get
			continue
		}
		if len(r.Targets)+len(r.Outcomes) == 0 {
			return nil, lang.Errorf("an audit record of %d bytes is too long for the log", len(body))
		}
		r.Targets = r.Targets[:len(r.Targets)/2]
		r.Outcomes = r.Outcomes[:len(r.Outcomes)/2]
	}
}

// shorten returns a copy of r without overlong texts, and the names of the fields that it cut.
func shorten(r Record) (Record, []string) {
	var cut []string
	short := func(name string, text *string, limit int) {
		if len(*text) <= limit {
			return
		}
		*text = clip(*text, limit)
		if !slices.Contains(cut, name) {
			cut = append(cut, name)
		}
	}
	for _, field := range []struct {
		name string
		text *string
	}{
		{"call", &r.Call}, {"caller", &r.Caller}, {"iss", &r.Issuer}, {"sub", &r.Subject}, {"client_id", &r.ClientID},
		{"transport", &r.Transport}, {"server", &r.Server}, {"tool", &r.Tool}, {"risk", &r.Risk},
		{"region", &r.Region}, {"rule", &r.Rule}, {"consent", &r.Consent}, {"token", &r.Token},
		{"state", &r.State}, {"trace", &r.Trace}, {"continues", &r.Continues},
	} {
		short(field.name, field.text, maxText)
	}
	// What the client and the authorization server call the client and its user has not been cleaned before.
	r.Issuer, r.Subject, r.ClientID = clean.Line(r.Issuer, 0), clean.Line(r.Subject, 0), clean.Line(r.ClientID, 0)
	r.Client, r.ClientVersion, r.Caller = clean.Line(r.Client, 0), clean.Line(r.ClientVersion, 0), clean.Line(r.Caller, 0)
	short("client", &r.Client, maxName)
	short("client_version", &r.ClientVersion, maxName)
	errorText := maxError
	if r.Event.isAttempt() {
		errorText = maxError / 4
	}
	short("error", &r.Error, errorText)
	short("note", &r.Note, maxNote)

	r.Targets = slices.Clone(r.Targets)
	for i := range r.Targets {
		t := &r.Targets[i]
		short("targets", &t.ID, maxText)
		short("targets", &t.Name, maxText)
		short("targets", &t.Status, maxText)
	}
	r.Outcomes = slices.Clone(r.Outcomes)
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		short("outcomes", &o.ID, maxText)
		short("outcomes", &o.Outcome, maxText)
		short("outcomes", &o.Code, maxText)
		short("outcomes", &o.NewID, maxText)
	}
	if r.Script != nil {
		script := *r.Script
		short("script", &script.SHA256, maxText)
		r.Script = &script
	}
	if given := r.Arguments; len(given) > 0 {
		r.Arguments = make(map[string]string, min(len(given), maxArguments))
		for i, name := range slices.Sorted(maps.Keys(given)) {
			if i == maxArguments {
				cut = append(cut, fmt.Sprintf("%d of %d arguments left out", len(given)-i, len(given))) // not said to people
				break
			}
			value := given[name]
			short("arguments", &name, maxText)
			short("arguments", &value, maxText)
			r.Arguments[name] = value
		}
	}
	return r, cut
}

// clip cuts text to limit bytes at most, at the start of a character, and marks the cut.
func clip(text string, limit int) string {
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit] + "…"
}

// join adds a note to others, unless it is among them: a failed write is tried again, and finds the same.
func join(notes, note string) string {
	switch {
	case strings.Contains(notes, note):
		return notes
	case notes == "":
		return note
	}
	return notes + "; " + note
}
