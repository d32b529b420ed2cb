package tools

import (
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

// defaultLimit is how many rows a list shows if the call does not say.
const defaultLimit = 20

// pageText words which rows a list shows.
func pageText(what lang.Text, start, returned int, total *int) lang.Text {
	switch {
	case returned == 0:
		return lang.T("No %s", what)
	case total != nil:
		return lang.T("%s %d-%d of %d", what, start+1, start+returned, *total)
	}
	return lang.T("%s %d-%d, total unknown", what, start+1, start+returned)
}

// pageIn is pageText with the place that the rows are in.
func pageIn(place string, what lang.Text, start, returned int, total *int) lang.Text {
	if returned == 0 {
		return lang.T("No %s in %s", what, place)
	}
	return lang.T("%s: %s", place, pageText(what, start, returned, total))
}

// following returns where the next page starts, 0 at the end.
func following[T any](page workspace.Page[T], limit int) (total *int, next int) {
	end := page.Start + page.Received
	if page.Total >= 0 {
		total = &page.Total
	}
	if len(page.Rows) > 0 && (page.Total > end || page.Total < 0 && len(page.Rows) == limit) {
		next = end
	}
	return total, next
}

// nextPage is the next step of a list that goes on, "" at its end.
func nextPage(start int) lang.Text {
	if start == 0 {
		return lang.Text{}
	}
	return lang.T("More follow: call again with start=%d.", start)
}

// holds reports whether a name has a part, without regard to case.
func holds(name, part string) bool {
	return strings.Contains(strings.ToLower(name), strings.ToLower(part))
}
