// Package guard decides whether a call may change something: first the operator's policy, which nothing in a conversation
// can lift, then consent to exactly what was shown.
package guard

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
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
	// Caller is whose policy it is; "" is the operator.
	Caller string

	ReadOnly      bool
	Toolsets      []string // only these; nil: all; empty but not nil: none
	DisabledTools []string

	Allow   [][]Pattern // an instance must match one pattern of every list
	Protect []Pattern   // an instance must match none

	MaxTargets int // per call; 0: DefaultMaxTargets
	// MaxAccelerators limits what one call may create, start or resize to: accelerators × containers; 0: no limit.
	MaxAccelerators int
	// MaxRunningAccelerators limits the accelerators that all instances of the account occupy at once; 0: no limit.
	MaxRunningAccelerators int

	// AllowAccessURLs lets the access address of an instance be shown, with which anyone can use the instance. A policy that
	// narrows this one has to allow it too.
	AllowAccessURLs bool

	Consent map[string]Level // per tool; others have the default of their risk
	// NeverAsk leaves humans unasked: for clients that declare that they can ask, and drop the question.
	NeverAsk bool

	// Grant is what the scopes of the caller's access token allow.
	Grant Grant

	narrowedBy []Policy // what each of these forbids is forbidden too
}

// Target is an instance as the service shows it. Policy looks at this, never at what a call claims. Texts are as the service
// sent them, not cleaned. What is empty is unknown: it matches every pattern of Protect about it, and none of Allow.
type Target struct {
	ID         string
	Name       string
	Region     string // id
	RegionName string
}

// Limits of what a refusal quotes. Names are written by others, and may be long.
const (
	maxQuoted   = 60
	maxOffender = 5
)

// String says it in English.
func (t Target) String() string { return t.In(lang.English) }

// In returns name and id, cleaned and cut.
func (t Target) In(l lang.Lang) string {
	id, name := text.Line(t.ID, maxQuoted), text.Line(t.Name, maxQuoted)
	switch {
	case id == "" && name == "":
		return l.Sprintf("one that the service does not name")
	case name == "":
		return l.Sprintf("one without a name (%s)", id)
	}
	if id == "" {
		id = l.Sprintf("id unknown")
	}
	return fmt.Sprintf("%q (%s)", name, id)
}

// Refusal is a "no" of the policy. It is final for the call.
type Refusal struct {
	Rule   string    // the setting that refused, one of Rules, for the audit log
	Reason lang.Text // for the person
	Cause  error     // for the log only: why the setting could not be checked; usually nil
	// Temporary says that the same call may be let through later, without anything that the operator has to change.
	Temporary bool
}

// The rules that refuse.
const (
	readOnlyRule = "read-only"
	toolsetsRule = "toolsets"
	disabledRule = "disable-tools"
	protectRule  = "protect"
	allowRule    = "allow"
	targetsRule  = "max-targets"
	accessRule   = "allow-access-urls"
	scopeRule    = "scope"

	// ConsentRule is the Rule of a Refusal because the client cannot give the consent that is needed.
	ConsentRule = "consent"
	// CallerRule is the Rule of a Refusal because the caller, or its policy, is not what it was when the call began.
	CallerRule = "caller"
)

// Local is the name of the process's own user among the callers.
const Local = "local"

// Rules returns every Rule that a Refusal can have.
func Rules() []string {
	return []string{
		readOnlyRule, toolsetsRule, disabledRule, allowRule, protectRule, targetsRule, acceleratorsRule, runningRule, budgetRule,
		accessRule, scopeRule,
		ConsentRule, CallerRule,
	}
}

// Error returns the reason.
func (r *Refusal) Error() string { return r.Reason.String() }

// In returns the reason in a language.
func (r *Refusal) In(l lang.Lang) string { return r.Reason.In(l) }

func refuse(rule, format string, args ...any) *Refusal {
	return &Refusal{Rule: rule, Reason: lang.T(format, args...)}
}

// owner says whose policy it is.
func (p Policy) owner() lang.Text {
	if p.Caller == "" {
		return lang.T("the operator")
	}
	return lang.T("the policy of caller %s", p.Caller)
}

// Offers returns nil when the tool may be listed and called, and a *Refusal otherwise.
func (p Policy) Offers(tool, toolset string, risk Risk) error {
	return p.each(func(p Policy) error {
		switch {
		case p.ReadOnly && risk != Read && p.Caller == "":
			return refuse(readOnlyRule, "the server runs read-only, and %s changes something", tool)
		case p.ReadOnly && risk != Read:
			return refuse(readOnlyRule, "%s is read-only, and %s changes something", p.owner(), tool)
		case p.Toolsets != nil && !slices.Contains(p.Toolsets, toolset):
			return refuse(toolsetsRule, "%s has not enabled the toolset %s, to which %s belongs", p.owner(), toolset, tool)
		case slices.Contains(p.DisabledTools, tool):
			return refuse(disabledRule, "%s has disabled %s", p.owner(), tool)
		}
		return nil
	})
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
	looks := make([]look, len(targets))
	for i, t := range targets {
		looks[i] = lookAt(t)
	}
	return p.each(func(p Policy) error {
		if offenders := those(targets, looks, p.protects); !offenders.IsZero() {
			return refuse(protectRule, "%s has protected %s", p.owner(), offenders)
		}
		if offenders := those(targets, looks, p.leavesOut); !offenders.IsZero() {
			return refuse(allowRule, "%s does not allow changes of %s", p.owner(), offenders)
		}
		return nil
	})
}

// PermitsCount returns nil when one call may change that many instances, and a *Refusal otherwise.
func (p Policy) PermitsCount(targets int) error {
	return p.each(func(p Policy) error {
		if limit := cmp.Or(p.MaxTargets, DefaultMaxTargets); targets > limit {
			return refuse(targetsRule, "%d targets in one call; %s allows %d", targets, p.owner(), limit)
		}
		return nil
	})
}

// PermitsAccess returns nil when the access address of an instance may be shown, and a *Refusal otherwise. Whoever has the
// address can change what is in the instance, so one that may not be changed keeps it.
func (p Policy) PermitsAccess(t Target) error {
	err := p.each(func(p Policy) error {
		if !p.AllowAccessURLs {
			return refuse(accessRule, "%s does not allow access addresses to be shown", p.owner())
		}
		return nil
	})
	if err != nil {
		return err
	}
	return p.PermitsEach([]Target{t})
}

// each asks the policy and those that narrow it, until one refuses.
func (p Policy) each(ask func(Policy) error) error {
	if err := ask(p); err != nil {
		return err
	}
	for _, by := range p.narrowedBy {
		if err := by.each(ask); err != nil {
			return err
		}
	}
	return nil
}

func (p Policy) protects(l look) bool {
	return slices.ContainsFunc(p.Protect, func(pattern Pattern) bool { return pattern.covers(l) })
}

func (p Policy) leavesOut(l look) bool {
	return slices.ContainsFunc(p.Allow, func(list []Pattern) bool {
		return !slices.ContainsFunc(list, func(pattern Pattern) bool { return pattern.admits(l) })
	})
}

// those names the targets that are meant; a few of many.
func those(targets []Target, looks []look, meant func(look) bool) lang.Text {
	var names []lang.Text
	for i, t := range targets {
		if meant(looks[i]) {
			names = append(names, lang.T("%s", t))
		}
	}
	if more := len(names) - maxOffender; more > 0 {
		names = append(names[:maxOffender], lang.T("and %d more", more))
	}
	return lang.List(names...)
}

// Coverage says which targets one pattern of a policy selects.
type Coverage struct {
	Caller  string // whose policy; "" is the operator
	Rule    string // "protect" or "allow"
	Pattern Pattern
	Targets []Target
}

// Explain returns what each pattern of p, and of the policies that narrow it, selects among targets. A pattern that selects
// nothing is there too: it may be a mistake.
func (p Policy) Explain(targets []Target) (all []Coverage) {
	add := func(p Policy, rule string, pattern Pattern, selects func(Target) bool) {
		c := Coverage{Caller: p.Caller, Rule: rule, Pattern: pattern}
		for _, t := range targets {
			if selects(t) {
				c.Targets = append(c.Targets, t)
			}
		}
		all = append(all, c)
	}
	_ = p.each(func(p Policy) error {
		for _, pattern := range p.Protect {
			add(p, protectRule, pattern, pattern.Covers)
		}
		for _, pattern := range slices.Concat(p.Allow...) {
			add(p, allowRule, pattern, pattern.Admits)
		}
		return nil
	})
	return all
}
