package guard

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
)

// maxPattern is the longest pattern in characters. With it, a match takes at most maxPattern steps per character of a name.
const maxPattern = 256

// What a Pattern can be about.
const (
	byID     = "id"
	byName   = "name"
	byRegion = "region"
)

// Pattern selects instances: "id:ID", "name:GLOB" or "region:ID or name"; without a prefix, an id or a glob on the name.
//
// In a glob, * stands for any text and ? for one character; nothing else is special. Letters compare without regard to case,
// one by one: ß is not ss. A text is compared in several forms, because a name that looks like the one that was meant, and
// differs in an invisible character or in how an accent is encoded, must not escape a protection.
type Pattern struct {
	field string // byID, byName, byRegion, or "" for id or name
	text  string // as written
	glob  forms
}

// forms are the forms in which a text is compared. raw is what was written. The others lack invisible characters, blanks at
// either end and the difference between characters that Unicode calls compatible; composed has an accented letter as one
// character, and decomposed as several. All are in lower case.
type forms struct{ raw, composed, decomposed []rune }

// What stands for a wildcard in the forms of a glob. No character is negative.
const (
	anyText rune = -1
	anyOne  rune = -2
)

func formsOf(s string) forms {
	visible := strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || text.Invisible(r) { // the former is what a removal leaves behind where names are shown
			return -1
		}
		return r
	}, s))
	decomposed := fold(norm.NFKD.String(visible))
	return forms{
		raw:        fold(s),
		composed:   []rune(norm.NFKC.String(string(decomposed))),
		decomposed: decomposed,
	}
}

// isUnknown reports whether nothing is left to compare.
func (f forms) isUnknown() bool { return len(f.decomposed) == 0 }

// fold maps letters that differ in case only to one of them.
func fold(s string) []rune {
	runes := []rune(s)
	for i, r := range runes {
		runes[i] = unicode.ToLower(unicode.ToUpper(r)) // by way of the upper case, which ς and σ, or ſ and s, share
	}
	return runes
}

// ParsePattern reads a pattern. The error names what looks like a mistake: a pattern that is not understood protects nothing.
func ParsePattern(written string) (Pattern, error) {
	p := Pattern{text: trim(written)}
	glob := p.text
	if field, rest, found := strings.Cut(p.text, ":"); found {
		p.field, glob = strings.ToLower(trim(field)), trim(rest)
		if !slices.Contains([]string{byID, byName, byRegion}, p.field) {
			return Pattern{}, lang.Errorf("pattern %.80q: %q is not id, name or region; a name that has a colon is name:NAME", written, field)
		}
	}
	if err := checkGlob(glob); err != nil {
		return Pattern{}, lang.Errorf("pattern %.80q %w", written, err)
	}
	p.glob = globOf(glob)
	return p, nil
}

func checkGlob(glob string) error {
	separator := strings.IndexFunc(glob, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(",;，；、", r) })
	wide := strings.IndexAny(glob, "＊？：")
	switch {
	case glob == "":
		return lang.Errorf("is empty; leave the setting out, or name something")
	case len([]rune(glob)) > maxPattern:
		return lang.Errorf("has more than %d characters; shorten it with *", maxPattern)
	case separator >= 0:
		return lang.Errorf("holds %q: write one pattern for each name, with commas between them, and ? for that character within a name",
			[]rune(glob[separator:])[0])
	case wide >= 0:
		return lang.Errorf("holds the full-width %q: write *, ? and : in ASCII, and ? for that character within a name",
			[]rune(glob[wide:])[0])
	case globOf(glob).isUnknown():
		return lang.Errorf("holds invisible characters only")
	}
	return nil
}

// trim removes blanks and invisible characters at either end.
func trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || text.Invisible(r) })
}

// globOf normalises what stands between wildcards, piece by piece.
func globOf(glob string) (f forms) {
	add := func(more forms) {
		f.raw = append(f.raw, more.raw...)
		f.composed = append(f.composed, more.composed...)
		f.decomposed = append(f.decomposed, more.decomposed...)
	}
	for glob != "" {
		end := strings.IndexAny(glob, "*?")
		if end < 0 {
			add(formsOf(glob))
			break
		}
		add(formsOf(glob[:end]))
		wildcard := []rune{anyText}
		if glob[end] == '?' {
			wildcard[0] = anyOne
		}
		add(forms{wildcard, wildcard, wildcard})
		glob = glob[end+1:]
	}
	return f
}

// UnmarshalText reads a pattern from a flag.
func (p *Pattern) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePattern(string(text))
	return err
}

// String returns the pattern as it was written.
func (p Pattern) String() string { return p.text }

// Covers reports whether the pattern selects t as a target to protect: in one of the forms, or because the service does not
// say what the pattern is about.
func (p Pattern) Covers(t Target) bool { return p.covers(lookAt(t)) }

// Admits reports whether the pattern selects t as a target that may be changed: as written and also when cleaned, and only by
// what the service says.
func (p Pattern) Admits(t Target) bool { return p.admits(lookAt(t)) }

// look is a Target in the forms in which it is compared.
type look struct{ id, name, region, regionName forms }

func lookAt(t Target) look {
	return look{formsOf(t.ID), formsOf(t.Name), formsOf(t.Region), formsOf(t.RegionName)}
}

func (p Pattern) about(l look) []forms {
	switch p.field {
	case byID:
		return []forms{l.id}
	case byName:
		return []forms{l.name}
	case byRegion:
		return []forms{l.region, l.regionName}
	}
	return []forms{l.id, l.name}
}

func (p Pattern) covers(l look) bool {
	return slices.ContainsFunc(p.about(l), func(f forms) bool {
		return f.isUnknown() && (p.field != byRegion || !p.isNumber() || l.region.isUnknown()) ||
			matches(p.glob.raw, f.raw) || matches(p.glob.composed, f.composed) || matches(p.glob.decomposed, f.decomposed)
	})
}

// isNumber reports whether the pattern can be about the id of a region only. The name of a region is not known to a server
// that has nothing but the region's token.
func (p Pattern) isNumber() bool {
	return !slices.ContainsFunc(p.glob.composed, func(r rune) bool { return r >= 0 && !unicode.IsDigit(r) })
}

func (p Pattern) admits(l look) bool {
	return slices.ContainsFunc(p.about(l), func(f forms) bool {
		return !f.isUnknown() && matches(p.glob.raw, f.raw) && matches(p.glob.composed, f.composed)
	})
}

// matches reports whether glob stands for all of s. It goes back to the last * only, which suffices because an earlier one
// that takes more leaves less for the rest.
func matches(glob, s []rune) bool {
	g, i, star, resume := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case g < len(glob) && glob[g] == anyText:
			star, resume = g, i
			g++
		case g < len(glob) && (glob[g] == anyOne || glob[g] == s[i]):
			g++
			i++
		case star >= 0:
			resume++
			g, i = star+1, resume
		default:
			return false
		}
	}
	for g < len(glob) && glob[g] == anyText {
		g++
	}
	return g == len(glob)
}
