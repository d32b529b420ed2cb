package tools

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

// WorkspaceToolset names the tools for Huawei Cloud Workspace.
const WorkspaceToolset = "workspace"

const (
	workspaceBatch = 100 // ids that one look-up takes
	maxScriptBytes = 16 << 10
)

// Desktops are the tools for cloud desktops of Huawei Cloud Workspace, with what they work on.
type Desktops struct {
	Workspace *workspace.Client
	Now       func() time.Time // nil: time.Now
}

// place is where the desktops are. The service gives the region no name.
func (s Desktops) place() toolbox.Place {
	region := s.Workspace.Place()
	return toolbox.Place{ID: region, Name: region}
}

// find looks desktops up by id, at most workspaceBatch at a time. One that does not exist is missing from the answer.
func (s Desktops) find(ctx context.Context, ids []string) (map[string]workspace.Desktop, error) {
	found := make(map[string]workspace.Desktop, len(ids))
	for batch := range slices.Chunk(slices.Compact(slices.Sorted(slices.Values(ids))), workspaceBatch) {
		page, err := s.Workspace.Desktops(ctx, workspace.DesktopFilter{IDs: batch, Limit: workspaceBatch})
		if err != nil {
			return nil, err
		}
		for _, d := range page.Rows {
			found[d.ID] = d
		}
	}
	return found, nil
}

// desktopID is the documented form of a desktop's id; what has it is not searched for as a name.
var desktopID = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
})

const (
	maxNamesakes  = 1000 // rows that one search for a name looks at
	maxCandidates = 5    // that an error names for one wrong name
)

// resolve returns the desktop that each reference stands for: an id, or the computer name of exactly one desktop. A name with
// other capitals stands for a desktop if no name is exactly so written. The error lists everything that stands for none or
// for several, with what may be meant.
func (s Desktops) resolve(ctx context.Context, refs []string) (map[string]workspace.Desktop, error) {
	var ids, names []string
	for _, ref := range refs {
		if desktopID().MatchString(ref) {
			ids = append(ids, ref)
		} else {
			names = append(names, ref)
		}
	}
	matches := make([]namesakes, len(names))
	err := lookUp(ctx, len(names), func(i int) (err error) {
		matches[i], err = s.search(ctx, names[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		if len(matches[i].bearing) == 0 && text.IsID(name) {
			ids = append(ids, name)
		}
	}
	found, err := s.find(ctx, ids)
	if err != nil {
		return nil, err
	}
	var wrong []lang.Text
	for i, name := range names {
		if len(matches[i].bearing) == 1 {
			found[name] = matches[i].bearing[0]
		} else if _, isID := found[name]; !isID {
			wrong = append(wrong, matches[i].wrong(name))
		}
	}
	for _, ref := range ids {
		if _, exists := found[ref]; !exists && desktopID().MatchString(ref) {
			wrong = append(wrong, lang.T("%q: no desktop has this id", text.Field(ref)))
		}
	}
	if len(wrong) > 0 {
		return found, lang.Errorf("%d of %s cannot be identified. Nothing was sent.\n%s\n"+
			"Use the ids that are meant; list_workspace_desktops shows them", len(wrong), lang.Count(len(refs), "desktop"), lang.Lines(wrong...))
	}
	return found, nil
}

// namesakes is what a search for a name has found.
type namesakes struct {
	bearing []workspace.Desktop // that bear the name
	similar []workspace.Desktop // others that the service's filter lets through
	more    bool                // not everything was looked at
}

// search looks for the desktops that bear a name. The service's filter matches in part.
func (s Desktops) search(ctx context.Context, name string) (namesakes, error) {
	var found namesakes
	var folded []workspace.Desktop
	seen := 0
	for d, err := range s.Workspace.AllDesktops(ctx, workspace.DesktopFilter{ComputerName: name}) {
		if err != nil {
			return namesakes{}, err
		}
		switch {
		case d.ComputerName == name:
			found.bearing = append(found.bearing, d)
		case strings.EqualFold(d.ComputerName, name):
			folded = append(folded, d)
		case len(found.similar) < maxCandidates:
			found.similar = append(found.similar, d)
		}
		if seen++; seen == maxNamesakes {
			found.more = true
			break
		}
	}
	switch {
	case found.more: // another one that bears it may not have been seen
		found.similar = append(append(found.bearing, folded...), found.similar...)
		found.bearing = nil
	case len(found.bearing) == 0:
		found.bearing = folded
	}
	return found, nil
}

// wrong says what is wrong with a name, and what may be meant.
func (n namesakes) wrong(name string) lang.Text {
	said := lang.T("no desktop has this computer name or id")
	candidates := n.similar
	switch {
	case len(n.bearing) > 1:
		said, candidates = lang.T("%d desktops have this computer name", len(n.bearing)), n.bearing
	case n.more:
		said = lang.T("more than %d desktops have this in their name, so it cannot be told whether one alone bears it", maxNamesakes)
	case len(candidates) > 0:
		said = lang.T("no desktop has this computer name or id, but it is a part of")
	}
	var words []lang.Text
	for _, d := range candidates[:min(len(candidates), maxCandidates)] {
		words = append(words,
			lang.T("%q (%s, %s, of %s)", text.Field(d.ComputerName), text.Field(d.ID), text.Dash(text.Field(d.Status)),
				text.Dash(text.Field(strings.Join(d.Users, ", ")))))
	}
	if more := len(candidates) - len(words); more > 0 {
		words = append(words, lang.T("and %d more", more))
	}
	if len(words) > 0 {
		said = lang.T("%s: %s", said, lang.Clauses(words...))
	}
	return lang.T("%q: %s", text.Field(name), said)
}

// target is a desktop as a target.
func (s Desktops) target(id string, d workspace.Desktop) toolbox.Target {
	return toolbox.Target{
		ID: id, Place: s.place(), Exists: d.ID != "", Name: d.ComputerName, Status: d.Status, Created: d.Created.At,
		Owner: strings.Join(d.Users, ", "),
		Bound: []string{string(d.System), d.TaskStatus},
	}
}

func isActive(status string) bool { return strings.EqualFold(status, "ACTIVE") }
