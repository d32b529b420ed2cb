// Package sanitize is the former name of what package text cleans. It goes once nothing imports it.
package sanitize

import "github.com/scnet-mcp/scnet-mcp/internal/text"

// Line is text.Line.
func Line(s string, maxRunes int) string { return text.Line(s, maxRunes) }
