package schemas

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

const letters = "abcdefghijklmnopqrstuvwxyz"

// maxShown is how many characters of a foreign text a message shows.
const maxShown = 60

// member names a property. A name that somebody else chose could hold line
// breaks that forge further messages, so anything unusual is quoted.
func member(path, name string) string {
	if len(name) > maxShown || name == "" || strings.Trim(name, letters+strings.ToUpper(letters)+"0123456789_-") != "" {
		name, _ = cut(name)
		name = strconv.Quote(name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

func item(path string, index int) string {
	return path + "[" + strconv.Itoa(index) + "]"
}

// isKey reports whether name is a portable property name: snake_case, from a
// letter on, and no longer than 64.
func isKey(name string) bool {
	if name == "" || len(name) > 64 || name[0] < 'a' || name[0] > 'z' {
		return false
	}
	return strings.Trim(name, letters+"0123456789_") == ""
}

// cut shortens a text for a message, and counts its characters.
func cut(text string) (short string, length int) {
	length = utf8.RuneCountInString(text)
	if length <= maxShown {
		return text, length
	}
	runes := 0
	for i := range text {
		if runes == maxShown {
			return text[:i] + "…", length
		}
		runes++
	}
	return text, length
}
