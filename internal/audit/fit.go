package audit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Longest texts, in bytes before JSON escapes, which make up to six bytes of one. Without the lists, which fit shortens
// on its own, a record stays below half of maxLine at these limits.
const (
	maxText      = 256
	maxError     = 2048
	maxNote      = 1024
	maxArguments = 32
)

// fit returns r marshalled, cut until it fits into a line. What was cut is said in the note.
func fit(r Record) ([]byte, error) {
	r, cut := shorten(r)
	note, targets, outcomes := r.Note, len(r.Targets), len(r.Outcomes)
	for {
		said := cut
		if len(r.Targets) < targets {
			said = append(slices.Clip(said), fmt.Sprintf("%d of %d targets left out", targets-len(r.Targets), targets))
		}
		if len(r.Outcomes) < outcomes {
			said = append(slices.Clip(said), fmt.Sprintf("%d of %d outcomes left out", outcomes-len(r.Outcomes), outcomes))
		}
		r.Note = note
		if len(said) > 0 {
			r.Note = join(note, "cut: "+strings.Join(said, ", "))
		}
		body, err := marshal(r)
		if err != nil || len(body)+sealLen <= maxLine {
			return body, err
		}
		if len(r.Targets)+len(r.Outcomes) == 0 {
			return nil, fmt.Errorf("an audit record of %d bytes is too long for the log", len(body))
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
		{"call", &r.Call}, {"caller", &r.Caller}, {"client", &r.Client}, {"client_version", &r.ClientVersion},
		{"transport", &r.Transport}, {"server", &r.Server}, {"tool", &r.Tool}, {"risk", &r.Risk},
		{"region", &r.Region}, {"rule", &r.Rule}, {"consent", &r.Consent}, {"token", &r.Token},
		{"state", &r.State}, {"trace", &r.Trace}, {"continues", &r.Continues},
	} {
		short(field.name, field.text, maxText)
	}
	short("error", &r.Error, maxError)
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
				cut = append(cut, fmt.Sprintf("%d of %d arguments left out", len(given)-i, len(given)))
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
