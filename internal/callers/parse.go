package callers

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/schemas"
)

// maxFile is the largest file in bytes; a caller takes some 200.
const maxFile = 1 << 20

// Known are the names that a policy can speak of. Others are refused: a policy with a typing mistake protects nothing.
type Known struct{ Tools, Toolsets []string }

// Parse reads a file of callers, which is JSON of at most 1 MiB. The error names everything that is wrong, one problem a
// line, with the place in the file and what is valid. It never repeats a digest, nor what stands in the place of one.
//
// A list that is empty limits nothing, and may be what a template made of a variable that is not set. It is refused, as is
// null.
func Parse(data []byte, known Known) (*Table, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // some editors on Windows begin a file with it
	if len(data) > maxFile {
		return nil, lang.Errorf("the callers file is larger than %d bytes; split it between servers", maxFile)
	}
	value, repeated, err := schemas.Parse(data)
	if err != nil {
		return nil, lang.Errorf("the callers file cannot be read: %w", err)
	}
	r := reader{known: known, named: map[string]int{}, digests: map[string]int{}}
	for _, problem := range repeated {
		r.wrong(problem.Path, "%s", problem.Text)
	}
	r.file(value)
	if len(r.problems) > 0 {
		return nil, errors.Join(r.problems...)
	}
	return &Table{callers: r.callers}, nil
}

// wholeFile is the path of the value that holds all others.
const wholeFile = ""

// reader walks through a parsed value. It does not decode into structs, because encoding/json takes Read_Only for read_only,
// and stops at the first field that is wrong.
type reader struct {
	known          Known
	callers        []Caller
	named, digests map[string]int // where in callers it is
	problems       []error
}

func (r *reader) wrong(path, format string, args ...any) {
	place := lang.Verbatim(path)
	if path == wholeFile {
		place = lang.T("the callers file")
	}
	r.problems = append(r.problems, lang.Errorf("%s: %w", place, lang.Errorf(format, args...)))
}

func (r *reader) file(value any) {
	const path = wholeFile
	whole, ok := is[map[string]any](r, path, value, lang.T("an object"))
	if !ok {
		return
	}
	if list, given := whole["callers"]; given {
		r.list(list)
	} else {
		r.wrong(path, "the field callers is missing; it holds the list of callers")
	}
	r.unknown(path, whole, []string{"callers"})
}

// unknown names the members of an object that are not valid.
func (r *reader) unknown(path string, object map[string]any, valid []string) {
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !slices.Contains(valid, name) {
			r.wrong(path, "there is no field %q; valid are %s", name, lang.Names(valid))
		}
	}
}

func (r *reader) list(value any) {
	entries, ok := is[[]any](r, "callers", value, lang.T("a list of callers"))
	if ok && len(entries) == 0 {
		r.wrong("callers", "there must be at least one; scnet-mcp callers new NAME makes one")
	}
	for i, entry := range entries {
		// A caller is kept whatever is wrong with it, so that its index is its place in the file.
		r.callers = append(r.callers, r.caller(fmt.Sprintf("callers[%d]", i), entry))
	}
}

// fields are the fields of a caller. Each takes its value, and names what is wrong with it.
var fields = []struct {
	name     string
	required bool
	read     func(r *reader, path string, value any, c *Caller)
}{
	{"name", true, (*reader).name},
	{"token_sha256", false, (*reader).digest},
	{"oauth", false, (*reader).selector},
	{"read_only", false, func(r *reader, path string, value any, c *Caller) { c.Policy.ReadOnly = r.yes(path, value) }},
	{"toolsets", false, func(r *reader, path string, value any, c *Caller) { // of which an empty list means none
		c.Policy.Toolsets = r.names(path, value, lang.T("toolset"), r.known.Toolsets)
	}},
	{"disable_tools", false, func(r *reader, path string, value any, c *Caller) {
		c.Policy.DisabledTools = r.limiting(path, r.names(path, value, lang.T("tool"), r.known.Tools))
	}},
	{"allow", false, func(r *reader, path string, value any, c *Caller) {
		var patterns []guard.Pattern
		patterns, c.allow = r.patterns(path, value)
		c.Policy.Allow = [][]guard.Pattern{patterns}
	}},
	{"protect", false, func(r *reader, path string, value any, c *Caller) {
		c.Policy.Protect, c.protect = r.patterns(path, value)
	}},
	{"max_targets", false, func(r *reader, path string, value any, c *Caller) {
		c.Policy.MaxTargets = r.number(path, value)
	}},
	{"max_accelerators", false, func(r *reader, path string, value any, c *Caller) {
		c.Policy.MaxAccelerators = r.number(path, value)
	}},
	{"max_running_accelerators", false, func(r *reader, path string, value any, c *Caller) {
		c.Policy.MaxRunningAccelerators = r.number(path, value)
	}},
	{"allow_access_urls", false, func(r *reader, path string, value any, c *Caller) {
		c.Policy.AllowAccessURLs = r.yes(path, value)
	}},
	{"max_mutations_per_hour", false, func(r *reader, path string, value any, c *Caller) {
		c.MaxMutationsPerHour = r.number(path, value)
	}},
	{"consent", false, (*reader).consent},
	{"never_ask", false, func(r *reader, path string, value any, c *Caller) { c.Policy.NeverAsk = r.yes(path, value) }},
}

func (r *reader) caller(path string, value any) (c Caller) {
	object, ok := is[map[string]any](r, path, value, lang.T("an object"))
	if !ok {
		return c
	}
	var valid []string
	for _, f := range fields {
		valid = append(valid, f.name)
		at := path + "." + f.name
		if value, given := object[f.name]; given {
			f.read(r, at, value, &c)
		} else if f.required {
			r.wrong(at, "is missing; scnet-mcp callers new NAME prints it")
		}
	}
	_, token := object["token_sha256"]
	_, selector := object["oauth"]
	switch {
	case !token && !selector:
		r.wrong(path+".token_sha256", "is missing; scnet-mcp callers new NAME prints it. With --oauth-issuer, oauth can stand in its place")
	case token && selector:
		r.wrong(path+".oauth", "cannot stand beside token_sha256; make two entries")
	}
	r.unknown(path, object, valid)
	return c
}

func (r *reader) name(path string, value any, c *Caller) {
	name, ok := is[string](r, path, value, lang.T("a string"))
	if !ok {
		return
	}
	if err := CheckName(name); err != nil {
		r.wrong(path, "%w", err)
		return
	}
	if i, taken := r.named[name]; taken {
		r.wrong(path, "%q is the name of callers[%d] already; choose another", name, i)
		return
	}
	r.named[name] = len(r.callers)
	c.Name, c.Policy.Caller = name, name
}

func (r *reader) digest(path string, value any, c *Caller) {
	form := lang.T("the SHA-256 of the token as 64 hexadecimal digits")
	text, ok := is[string](r, path, value, form)
	if !ok {
		return
	}
	digest := strings.ToLower(text)
	raw, err := hex.DecodeString(digest)
	switch i, taken := r.digests[digest]; {
	case strings.HasPrefix(text, tokenPrefix):
		r.wrong(path, "is a token; it must be %s. That token has been written down: scnet-mcp callers new NAME makes another", form)
	case err != nil || len(raw) != len(emptyDigest)/2:
		r.wrong(path, "must be %s", form)
	case digest == emptyDigest:
		r.wrong(path, "is the SHA-256 of nothing; it must be %s", form)
	case taken:
		r.wrong(path, "is the token of callers[%d] already; every caller needs one of its own", i)
	default:
		r.digests[digest] = len(r.callers)
		c.Digest = digest
	}
}

func (r *reader) consent(path string, value any, c *Caller) {
	c.Policy.Consent = map[string]guard.Level{}
	levels, _ := is[map[string]any](r, path, value, lang.T("an object"))
	for _, tool := range slices.Sorted(maps.Keys(levels)) {
		if !slices.Contains(r.known.Tools, tool) {
			r.wrong(path, "there is no tool %q; valid are %s", tool, lang.Names(r.known.Tools))
			continue
		}
		at := path + "." + tool
		text, ok := is[string](r, at, levels[tool], lang.T("flag, preview or human"))
		if !ok {
			continue
		}
		level, err := guard.ParseLevel(text)
		if err != nil {
			r.wrong(at, "%w", err)
		}
		c.Policy.Consent[tool] = level
	}
}
