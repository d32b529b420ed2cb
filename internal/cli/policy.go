package cli

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/alecthomas/kong"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// policyFlags are what the operator decides before any conversation.
type policyFlags struct {
	ReadOnly               bool     `group:"policy" help:"Offer only tools that change nothing."`
	Toolsets               names    `group:"policy" placeholder:"NAME,..." help:"Offer only these toolsets."`
	DisableTools           names    `group:"policy" placeholder:"TOOL,..." help:"Do not offer these tools."`
	Allow                  patterns `group:"policy" placeholder:"PATTERN,..." help:"Change only instances that match one: id:ID, name:GLOB, region:ID or name; without prefix, id or name."`
	Protect                patterns `group:"policy" placeholder:"PATTERN,..." help:"Never change instances that match one."`
	MaxTargets             int      `group:"policy" default:"10" placeholder:"N" help:"Instances that one call may change (${default})."`
	MaxMutationsPerHour    int      `group:"policy" default:"60" placeholder:"N" help:"Instances that may be changed in any hour (${default})."`
	MaxAccelerators        *int     `group:"policy" placeholder:"N" help:"Accelerators (cards × containers) that one call may create, start or resize to. Default: no limit."`
	MaxRunningAccelerators *int     `group:"policy" placeholder:"N" help:"Accelerators that all instances of the account may occupy at once, after a call that starts one. Default: no limit."`
	AllowAccessURLs        bool     `name:"allow-access-urls" group:"policy" help:"Show the access address of an instance to those who ask for it. Anyone with that address can use the instance."`
	Consent                levels   `group:"policy" placeholder:"TOOL=LEVEL,..." help:"Consent that a tool needs: flag, preview or human."`
	NeverAsk               bool     `group:"policy" help:"Never ask the user through the client; previews and tokens instead. For clients that say that they can ask, and drop the question."`

	auditFlags
	wordsFlags
}

// names are a flag's list of names, with commas between them.
type names []string

// Decode implements kong.MapperValue. kong's own lists take an empty text for no list at all, and so for no limit.
func (n *names) Decode(ctx *kong.DecodeContext) error {
	items, err := listOf(ctx)
	for _, item := range items {
		if i := strings.IndexFunc(item, func(r rune) bool {
			return unicode.IsSpace(r) || strings.ContainsRune(";，；、", r)
		}); i >= 0 {
			return lang.Errorf(textNoCommas, strconv.Quote(item), strconv.QuoteRune([]rune(item[i:])[0]))
		}
	}
	*n = append(*n, items...)
	return err
}

// patterns are a flag's list of patterns, with commas between them.
type patterns []guard.Pattern

// Decode implements kong.MapperValue.
func (p *patterns) Decode(ctx *kong.DecodeContext) error {
	items, err := listOf(ctx)
	if err != nil {
		return err
	}
	for _, item := range items {
		pattern, err := guard.ParsePattern(item)
		if err != nil {
			return err
		}
		*p = append(*p, pattern)
	}
	return nil
}

// levels are a flag's list of tools, each with the consent that it needs.
type levels map[string]string

// Decode implements kong.MapperValue.
func (l *levels) Decode(ctx *kong.DecodeContext) error {
	items, err := listOf(ctx)
	if err != nil {
		return err
	}
	if *l == nil {
		*l = levels{}
	}
	for _, item := range items {
		tool, level, found := strings.Cut(item, "=")
		if !found {
			return lang.Errorf(textNotTool, strconv.Quote(item))
		}
		(*l)[strings.TrimSpace(tool)] = strings.TrimSpace(level)
	}
	return nil
}

func listOf(ctx *kong.DecodeContext) ([]string, error) {
	var list string
	if err := ctx.Scan.PopValueInto("list", &list); err != nil {
		return nil, err
	}
	items := strings.Split(list, ",")
	for i, item := range items {
		if items[i] = strings.TrimSpace(item); items[i] == "" {
			return nil, lang.Errorf(textEmptyValue)
		}
	}
	return items, nil
}

// apply puts the policy into service, with the audit log. The user's own log is not for simulated changes: in a demo
// only a log that was asked for is written.
func (p policyFlags) apply(service *services, demo bool) (closeAudit func(), err error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	consent := map[string]guard.Level{}
	for tool, text := range p.Consent {
		if consent[tool], err = guard.ParseLevel(text); err != nil {
			return nil, lang.Errorf("--consent: %w", err)
		}
	}
	service.Policy = guard.Policy{
		ReadOnly: p.ReadOnly, DisabledTools: p.DisableTools, Protect: p.Protect,
		MaxTargets: p.MaxTargets, Consent: consent, NeverAsk: p.NeverAsk,
		AllowAccessURLs: p.AllowAccessURLs,
	}
	if p.MaxAccelerators != nil {
		service.Policy.MaxAccelerators = *p.MaxAccelerators
	}
	if p.MaxRunningAccelerators != nil {
		service.Policy.MaxRunningAccelerators = *p.MaxRunningAccelerators
	}
	if len(p.Toolsets) > 0 { // an empty list in a Policy allows nothing, an empty flag does not restrict
		service.Policy.Toolsets = p.Toolsets
	}
	if len(p.Allow) > 0 {
		service.Policy.Allow = [][]guard.Pattern{p.Allow}
	}
	service.MaxMutationsPerHour = p.MaxMutationsPerHour
	service.AuditOptional = p.AuditOptional
	if p.isOff() || (demo && p.AuditLog == "") || p.ReadOnly {
		return func() {}, nil
	}
	return p.open(service)
}

// check refuses names that no tool has: a policy with a typing mistake would protect nothing.
func (p policyFlags) check() error {
	known := knownNames()
	unknown := func(flag, name string, valid []string) error {
		return lang.Errorf("--%s: there is no %q; valid are %s", flag, name, lang.Names(valid))
	}
	for _, name := range p.Toolsets {
		if !slices.Contains(known.Toolsets, name) {
			return unknown("toolsets", name, known.Toolsets)
		}
	}
	for _, name := range p.DisableTools {
		if !slices.Contains(known.Tools, name) {
			return unknown("disable-tools", name, known.Tools)
		}
	}
	for name := range p.Consent {
		if !slices.Contains(known.Tools, name) {
			return unknown("consent", name, known.Tools)
		}
	}
	if err := p.auditFlags.check(); err != nil {
		return err
	}
	for flag, limit := range map[string]*int{
		"max-accelerators": p.MaxAccelerators, "max-running-accelerators": p.MaxRunningAccelerators,
	} {
		if limit != nil && *limit < 1 {
			return lang.Errorf("--%s must be at least 1; without it there is no limit, and --read-only forbids every change", flag)
		}
	}
	if p.MaxTargets < 1 || p.MaxMutationsPerHour < 1 {
		return lang.Errorf("--max-targets and --max-mutations-per-hour must be at least 1; --read-only forbids every change")
	}
	return nil
}
