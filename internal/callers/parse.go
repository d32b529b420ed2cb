package callers

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

// maxFile is the largest file in bytes; a caller takes some 200.
const maxFile = 1 << 20

// Known are the names that a policy can speak of. Others are refused: a policy with a typing mistake protects nothing.
type Known struct{ Tools, Toolsets []string }

// Parse reads a file of callers, which is JSON of at most 1 MiB. The error names everything that is wrong, one problem a
// line, with the place in the file and what is valid. It never repeats a digest, nor what stands in the place of one.
func Parse(data []byte, known Known) (*Table, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // some editors on Windows begin a file with it
	if err := checkJSON(data); err != nil {
		return nil, err
	}
	r := reader{known: known, named: map[string]int{}, digests: map[string]int{}}
	r.file(data)
	if len(r.problems) > 0 {
		return nil, errors.Join(r.problems...)
	}
	return &Table{callers: r.callers}, nil
}

func checkJSON(data []byte) error {
	if len(data) > maxFile {
		return fmt.Errorf("the callers file is larger than %d bytes; split it between servers", maxFile)
	}
	if !utf8.Valid(data) {
		// The decoder would put U+FFFD for what is none, and a pattern with that matches nothing.
		return errors.New("the callers file is not UTF-8; save it as UTF-8")
	}
	var whole json.RawMessage
	err := json.Unmarshal(data, &whole)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		before := data[:min(int(syntax.Offset), len(data))]
		return fmt.Errorf("the callers file is not JSON: line %d: %w", 1+bytes.Count(before, []byte("\n")), err)
	}
	if err != nil {
		return fmt.Errorf("the callers file is not JSON: %w", err)
	}
	return nil
}

// reader walks through valid JSON. It does not decode into structs: encoding/json takes the last of two members with the same
// name, takes Read_Only for read_only, and takes null for whatever was there.
type reader struct {
	known          Known
	callers        []Caller
	named, digests map[string]int // where in callers it is
	problems       []error
}

func (r *reader) wrong(path, format string, args ...any) {
	r.problems = append(r.problems, fmt.Errorf("%s: "+format, append([]any{path}, args...)...))
}

func (r *reader) file(data []byte) {
	const path = "the callers file"
	members, ok := r.members(path, data)
	given := false
	for _, m := range members {
		if m.name != "callers" {
			r.wrong(path, "there is no field %q; valid is callers", m.name)
			continue
		}
		given = true
		r.list(m.value)
	}
	if ok && !given {
		r.wrong(path, "the field callers is missing; it holds the list of callers")
	}
}

func (r *reader) list(value json.RawMessage) {
	entries, ok := decode[[]json.RawMessage](r, "callers", value, "a list of callers")
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
	name string
	read func(r *reader, path string, value json.RawMessage, c *Caller)
}{
	{"name", (*reader).name},
	{"token_sha256", (*reader).digest},
	{"read_only", func(r *reader, path string, value json.RawMessage, c *Caller) { c.Policy.ReadOnly = r.yes(path, value) }},
	{"toolsets", (*reader).toolsets},
	{"disable_tools", func(r *reader, path string, value json.RawMessage, c *Caller) {
		c.Policy.DisabledTools = r.names(path, value, "tool", r.known.Tools)
	}},
	{"allow", (*reader).allow},
	{"protect", func(r *reader, path string, value json.RawMessage, c *Caller) {
		c.Policy.Protect, c.protect = r.patterns(path, value)
	}},
	{"max_targets", func(r *reader, path string, value json.RawMessage, c *Caller) {
		c.Policy.MaxTargets = r.number(path, value)
	}},
	{"max_mutations_per_hour", func(r *reader, path string, value json.RawMessage, c *Caller) {
		c.MaxMutationsPerHour = r.number(path, value)
	}},
	{"consent", (*reader).consent},
	{"never_ask", func(r *reader, path string, value json.RawMessage, c *Caller) { c.Policy.NeverAsk = r.yes(path, value) }},
}

func (r *reader) caller(path string, value json.RawMessage) (c Caller) {
	members, ok := r.members(path, value)
	if !ok {
		return c
	}
	for _, m := range members {
		r.field(path, m, &c)
	}
	for _, required := range []string{"name", "token_sha256"} {
		if !slices.ContainsFunc(members, func(m member) bool { return m.name == required }) {
			r.wrong(path+"."+required, "is missing; scnet-mcp callers new NAME prints it")
		}
	}
	return c
}

func (r *reader) field(path string, m member, c *Caller) {
	var valid []string
	for _, f := range fields {
		if f.name == m.name {
			f.read(r, path+"."+m.name, m.value, c)
			return
		}
		valid = append(valid, f.name)
	}
	r.wrong(path, "there is no field %q; valid are %s", m.name, strings.Join(valid, ", "))
}

func (r *reader) name(path string, value json.RawMessage, c *Caller) {
	name, ok := decode[string](r, path, value, "a string")
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
	c.Name, c.Policy.Owner = name, "the policy of caller "+name
}

func (r *reader) digest(path string, value json.RawMessage, c *Caller) {
	const form = "the SHA-256 of the token as 64 hexadecimal digits"
	text, ok := decode[string](r, path, value, form)
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

// toolsets keeps apart what looks alike: null and no list mean all of them, an empty list means none.
func (r *reader) toolsets(path string, value json.RawMessage, c *Caller) {
	if !isNull(value) {
		c.Policy.Toolsets = r.names(path, value, "toolset", r.known.Toolsets)
	}
}

func (r *reader) allow(path string, value json.RawMessage, c *Caller) {
	patterns, texts := r.patterns(path, value)
	if texts != nil && len(texts) == 0 {
		// Beside toolsets, where an empty list means none, this one would be taken for "nothing" and mean "everything".
		r.wrong(path, "is empty; leave it out to allow every instance, or set read_only to allow none")
		return
	}
	c.allow = texts
	if len(patterns) > 0 {
		c.Policy.Allow = append(c.Policy.Allow, patterns)
	}
}

func (r *reader) consent(path string, value json.RawMessage, c *Caller) {
	c.Policy.Consent = map[string]guard.Level{}
	members, _ := r.members(path, value)
	for _, m := range members {
		if !slices.Contains(r.known.Tools, m.name) {
			r.wrong(path, "there is no tool %q; valid are %s", m.name, strings.Join(r.known.Tools, ", "))
			continue
		}
		place := path + "." + m.name
		text, ok := decode[string](r, place, m.value, "flag, preview or human")
		if !ok {
			continue
		}
		level, err := guard.ParseLevel(text)
		if err != nil {
			r.wrong(place, "%w", err)
		}
		c.Policy.Consent[m.name] = level
	}
}
