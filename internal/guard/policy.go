// Package guard decides whether a call may change something: first the operator's policy, which nothing in a conversation
// can lift, then consent to exactly what was shown.
package guard

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Risk says what a tool can do to the person who pays.
type Risk string

// The risks, in rising order.
const (
	Read        Risk = "read"        // changes nothing
	Disruptive  Risk = "disruptive"  // changes what runs, loses nothing that was stored
	Destructive Risk = "destructive" // may lose work for good
)

// Defaults of a Policy.
const (
	DefaultMaxTargets          = 10
	DefaultMaxMutationsPerHour = 60
)

// Policy is what the operator allows. The zero value allows every tool on at most DefaultMaxTargets instances a call.
type Policy struct {
	ReadOnly      bool
	Toolsets      []string // only these; nil: all; empty but not nil: none
	DisabledTools []string

	Allow   [][]Pattern // an instance must match one pattern of every list
	Protect []Pattern   // an instance must match none

	MaxTargets int              // per call; 0: DefaultMaxTargets
	Consent    map[string]Level // per tool; others have the default of their risk
	// NeverAsk leaves humans unasked: for clients that declare that they can ask, and drop the question.
	NeverAsk bool

	raised []map[string]Level // of the policies that this one was narrowed by; each can only raise what Consent says
}

// Target is an instance as the service shows it. Policy looks at this, never at what a call claims.
type Target struct {
	ID         string
	Name       string
	Region     string // id
	RegionName string
}

// String returns name and id.
func (t Target) String() string { return fmt.Sprintf("%q (%s)", t.Name, t.ID) }

// Refusal is a "no" of the policy. It is final for the call.
type Refusal struct {
	Rule   string // the setting that refused, one of a closed set, for the audit log
	Reason string // for the person
	Cause  error  // for the log only: why the setting could not be checked; usually nil
}

// ConsentRule is the Rule of a Refusal for want of a consent that the client cannot give.
const ConsentRule = "consent"

// Error returns the reason.
func (r *Refusal) Error() string { return r.Reason }

func refuse(rule, format string, args ...any) *Refusal {
	return &Refusal{Rule: rule, Reason: fmt.Sprintf(format, args...)}
}

// Offers returns nil when the tool may be listed and called, and a *Refusal otherwise.
func (p Policy) Offers(tool, toolset string, risk Risk) error {
	switch {
	case p.ReadOnly && risk != Read:
		return refuse("read-only", "the server runs read-only, and %s changes something", tool)
	case p.Toolsets != nil && !slices.Contains(p.Toolsets, toolset):
		return refuse("toolsets", "the operator has not enabled the toolset %s, to which %s belongs", toolset, tool)
	case slices.Contains(p.DisabledTools, tool):
		return refuse("disable-tools", "the operator has disabled %s", tool)
	}
	return nil
}

// Permits returns nil when all targets may be changed by one call, and a *Refusal that names the offending ones otherwise.
// One offender refuses the whole call, so that nothing is half-done.
func (p Policy) Permits(targets []Target) error {
	if err := p.PermitsCount(len(targets)); err != nil {
		return err
	}
	return p.PermitsEach(targets)
}

// PermitsEach is Permits without the limit on how many there are.
func (p Policy) PermitsEach(targets []Target) error {
	if offenders := protected(targets, p.Protect); len(offenders) > 0 {
		return refuse("protect", "the operator has protected %s", strings.Join(offenders, ", "))
	}
	if offenders := notAllowed(targets, p.Allow); len(offenders) > 0 {
		return refuse("allow", "the operator's list of what may be changed does not hold %s", strings.Join(offenders, ", "))
	}
	return nil
}

// PermitsCount returns nil when one call may change that many instances, and a *Refusal otherwise.
func (p Policy) PermitsCount(targets int) error {
	if limit := p.maxTargets(); targets > limit {
		return refuse("max-targets", "%d targets in one call; the operator allows %d", targets, limit)
	}
	return nil
}

func (p Policy) maxTargets() int {
	if p.MaxTargets == 0 {
		return DefaultMaxTargets
	}
	return p.MaxTargets
}

func protected(targets []Target, patterns []Pattern) (offenders []string) {
	for _, t := range targets {
		if anyMatches(patterns, t) {
			offenders = append(offenders, t.String())
		}
	}
	return offenders
}

func notAllowed(targets []Target, lists [][]Pattern) (offenders []string) {
	for _, t := range targets {
		if slices.ContainsFunc(lists, func(list []Pattern) bool { return !anyMatches(list, t) }) {
			offenders = append(offenders, t.String())
		}
	}
	return offenders
}

func anyMatches(patterns []Pattern, t Target) bool {
	return slices.ContainsFunc(patterns, func(p Pattern) bool { return p.Matches(t) })
}

// Pattern selects instances: "id:ID", "name:GLOB" or "region:ID or name"; without a prefix, an id or a glob on the name.
type Pattern struct {
	field string // "id", "name", "region", or "" for id or name
	glob  string
}

// ParsePattern reads a pattern. In a glob, * stands for any text and ? for one character; letters compare without regard
// to case, because a protection that misses by a capital letter is none.
func ParsePattern(text string) (Pattern, error) {
	p := Pattern{glob: strings.ToLower(strings.TrimSpace(text))}
	if field, glob, found := strings.Cut(p.glob, ":"); found {
		if field != "id" && field != "name" && field != "region" {
			return Pattern{}, fmt.Errorf("pattern %q: %q is not id, name or region", text, field)
		}
		p.field, p.glob = field, glob
	}
	if p.glob == "" {
		return Pattern{}, fmt.Errorf("pattern %q is empty", text)
	}
	if _, err := path.Match(p.glob, ""); err != nil {
		return Pattern{}, fmt.Errorf("pattern %q: %w", text, err)
	}
	return p, nil
}

// UnmarshalText reads a pattern from a flag.
func (p *Pattern) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePattern(string(text))
	return err
}

// Matches reports whether the pattern selects t.
func (p Pattern) Matches(t Target) bool {
	switch p.field {
	case "id":
		return p.match(t.ID)
	case "name":
		return p.match(t.Name)
	case "region":
		return p.match(t.Region) || p.match(t.RegionName)
	}
	return p.match(t.ID) || p.match(t.Name)
}

// match lets * span every character: path.Match would stop it at a slash, which a name may hold.
func (p Pattern) match(text string) bool {
	const slash = "\x00"
	hidden := strings.NewReplacer("/", slash)
	matched, err := path.Match(hidden.Replace(p.glob), hidden.Replace(strings.ToLower(text)))
	return err == nil && matched
}
