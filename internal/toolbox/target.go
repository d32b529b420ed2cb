package toolbox

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// Place is where a target is: a region.
type Place struct {
	ID   string `json:"region,omitempty" jsonschema_description:"Region id"`
	Name string `json:"region_name,omitempty" jsonschema_description:"Region name"`
}

// String returns the name and the id, for people.
func (p Place) String() string {
	if p.Name == "" || p.Name == p.ID {
		return text.Line(p.ID, 40)
	}
	return fmt.Sprintf("%s (%s)", text.Line(p.Name, 40), text.Line(p.ID, 40))
}

// Shown returns the place as a result shows it.
func (p Place) Shown() Place { return Place{ID: text.Field(p.ID), Name: text.Field(p.Name)} }

// Mount is a directory that a target mounts. What is in it outlives the target.
type Mount struct {
	Source string `json:"source" jsonschema_description:"Directory outside"`
	Target string `json:"target,omitempty" jsonschema_description:"Directory inside"`
	Type   string `json:"type,omitempty" jsonschema_description:"Kind"`
}

// String words the mount in English.
func (m Mount) String() string { return m.In(lang.English) }

// In words the mount for people.
func (m Mount) In(l lang.Lang) string {
	if m.Target == "" {
		return text.Field(m.Source)
	}
	return l.Sprintf("%s on %s", text.Field(m.Source), text.Field(m.Target))
}

// Target is one thing that a call is about: what the plan found, what would happen to it, and what became of it. What is
// encoded is a part of results; the frame cleans it there.
type Target struct {
	ID   string `json:"id" jsonschema_description:"Id"`
	Name string `json:"name,omitempty" jsonschema_description:"Name"`
	Place
	Status       string    `json:"status,omitempty" jsonschema_description:"Status before the call; absent: it does not exist"`
	Created      time.Time `json:"created_at,omitzero" jsonschema_description:"Creation"`
	Owner        string    `json:"owner,omitempty" jsonschema_description:"Owner"`
	Accelerators int       `json:"total_accelerators,omitempty" jsonschema_description:"Of all its containers"`
	Remaining    *int      `json:"remaining_seconds,omitempty" jsonschema_description:"Until its time limit; absent: none, or not running"`
	Mounts       []Mount   `json:"mounts,omitempty" jsonschema_description:"Directories that outlive it; absent: none"`
	Effect       lang.Text `json:"effect,omitzero" jsonschema_description:"In a preview, what would happen to it"`
	Outcome      Outcome   `json:"outcome,omitempty" jsonschema_description:"What became of it; absent in a preview"`
	Note         lang.Text `json:"note,omitzero" jsonschema_description:"Why"`
	Code         string    `json:"code,omitempty" jsonschema_description:"The service's code"`

	Exists bool `json:"-"` // the service shows it
	// Bound is what else must not change between preview and act: a restart shows in the start time and in the id of the
	// first container.
	Bound []string `json:"-"`
	NewID string   `json:"-"` // what the service says that it became

	cause *upstream.Failure
}

// Spared reports whether nothing would happen to the target: its outcome is already known when the plan is made.
func (t Target) Spared() bool { return t.Outcome != "" }

// Fail notes what became of the target, of which err is what the service, or the way to it, says.
func (t *Target) Fail(outcome Outcome, err error) {
	t.Outcome, t.Note, t.Code, t.cause = outcome, Briefly(err), "", nil
	if errors.As(err, &t.cause) {
		t.Code = t.cause.Code
	}
}

// String returns the name and the id, for people.
func (t Target) String() string {
	switch {
	case t.Name == "":
		return text.Field(t.ID)
	case t.ID == "": // it is yet to be created
		return strconv.Quote(text.Field(t.Name))
	}
	return fmt.Sprintf("%q (%s)", text.Field(t.Name), text.Field(t.ID))
}

// Shown returns the target as a result shows it.
func (t Target) Shown() Target {
	shown := t
	shown.Place = t.Place.Shown()
	for _, field := range []*string{&shown.ID, &shown.Name, &shown.Status, &shown.Owner, &shown.Code} {
		*field = text.Field(*field)
	}
	shown.Mounts = nil
	for _, m := range t.Mounts {
		shown.Mounts = append(shown.Mounts, Mount{text.Field(m.Source), text.Field(m.Target), text.Field(m.Type)})
	}
	return shown
}

// asPolicySees returns the target as policy looks at it: as the service words it, because policy compares several forms.
func (t Target) asPolicySees() guard.Target {
	return guard.Target{ID: t.ID, Name: t.Name, Region: t.Place.ID, RegionName: t.Place.Name}
}

// IDs returns the ids of targets.
func IDs(targets []Target) []string {
	ids := make([]string, len(targets))
	for i, t := range targets {
		ids[i] = t.ID
	}
	return ids
}

// writeTargets shows every target with what would happen to it, and what of it lasts.
func writeTargets(l lang.Lang, b *strings.Builder, targets []Target, now time.Time) {
	table := newTargetTable(l, targets, l.Words("STATUS", "AGE", "LEFT", "ACC", "OWNER", "EFFECT")...)
	for _, t := range targets {
		cells := []string{l.Sprintf("not found"), "-", "-", "-", "-", t.Effect.In(l)}
		if t.Exists {
			cells[0], cells[4] = text.Dash(text.Field(t.Status)), text.Dash(text.Field(t.Owner))
			if !t.Created.IsZero() {
				cells[1] = lang.Age(now.Sub(t.Created)).In(l)
			}
			if t.Remaining != nil {
				cells[2] = lang.Span(time.Duration(*t.Remaining) * time.Second).In(l)
			}
			if t.Accelerators > 0 {
				cells[3] = strconv.Itoa(t.Accelerators)
			}
		}
		table.add(t, cells...)
	}
	table.write(b, 12, 8, 12, 4, 16, 90)
	for _, t := range targets {
		if len(t.Mounts) > 0 {
			mounts := make([]string, len(t.Mounts))
			for i, m := range t.Mounts {
				mounts[i] = m.In(l)
			}
			l.Fprintf(b, "Mounted in %s: %s.\n", t, lang.Some(mounts))
		}
	}
}

// WriteOutcomes writes a table of what became of targets.
func WriteOutcomes(l lang.Lang, b *strings.Builder, targets []Target) {
	table := newTargetTable(l, targets, l.Words("OUTCOME", "NOTE")...)
	for _, t := range targets {
		table.add(t, string(t.Outcome), text.Dash(t.Note.In(l)))
	}
	table.write(b, 20, 160)
}

// targetTable is a table with a row for every target. The region is a column only where there are several.
type targetTable struct {
	rows    [][]string
	regions bool
}

func newTargetTable(l lang.Lang, targets []Target, columns ...string) *targetTable {
	t := &targetTable{regions: len(placesOf(targets)) > 1}
	head := l.Words("NAME", "ID")
	if t.regions {
		head = append(head, l.Word("REGION"))
	}
	t.rows = [][]string{append(head, columns...)}
	return t
}

func (table *targetTable) add(t Target, cells ...string) {
	row := []string{text.Dash(text.Field(t.Name)), text.Dash(text.Field(t.ID))}
	if table.regions {
		row = append(row, text.Dash(text.Field(t.Place.ID)))
	}
	table.rows = append(table.rows, append(row, cells...))
}

// write writes the columns in which something is known of any target.
func (table *targetTable) write(b *strings.Builder, maxima ...int) {
	all := []int{24, 40}
	if table.regions {
		all = append(all, 20)
	}
	all = append(all, maxima...)
	rows, widths := make([][]string, len(table.rows)), []int(nil)
	for column, width := range all {
		if !slices.ContainsFunc(table.rows[1:], func(row []string) bool { return row[column] != "-" }) {
			continue
		}
		widths = append(widths, width)
		for i, row := range table.rows {
			rows[i] = append(rows[i], row[column])
		}
	}
	text.WriteTable(b, rows, widths)
}
