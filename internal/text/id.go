package text

import (
	"strings"
)

// maxID is how long an id may be.
const maxID = 128

// IsID reports whether text can be an id of either cloud: 1 to 128 letters, digits, _ and -. It is not a regular
// expression, because one with such a count takes 100 KB.
func IsID(text string) bool {
	return text != "" && len(text) <= maxID && strings.IndexFunc(text, isNotOfID) < 0
}

func isNotOfID(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
		return false
	}
	return true
}
