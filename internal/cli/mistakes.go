package cli

import (
	"regexp"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// mistakes are what kong says of a command line that it cannot read, with %s for what varies, and what we say of a value,
// which kong repeats. The first that fits is taken: a longer sentence stands before those that it may hold.
var mistakes = []string{
	"%s (from envar %s)",
	"%s, did you mean one of %s?",
	"%s, did you mean %s?",
	"%s; perhaps try %s?",
	"unknown flag %s",
	"unexpected argument %s",
	"unexpected flag argument %s",
	"unexpected token %s",
	"missing flags: %s",
	"missing positional arguments %s",
	"%s and %s can't be used together",
	"%s must be one of %s but got %s",
	"expected one of %s",
	"expected %s value but got \"EOL\" (<EOL>)",
	"expected %s value but got %s (long flag)",
	"expected %s value but got %s (short flag)",
	"expected %s value but got %s",
	"expected a valid 64 bit int but got %s",
	"expected duration but got %s: time: missing unit in duration %s",
	"expected duration but got %s: time: invalid duration %s",
	"expected duration but got %s",
	"bool value must be true, 1, yes, false, 0 or no but got %s",
	"expected %s",
	textEmptyValue, textNotTool, textNoCommas,
	nested,
}

// nested is a value's mistake behind the name of a flag or an argument.
const nested = "%s: %s"

// inOurWords returns an error of kong as one that can be said in every language. In English its words stay. What kong wraps,
// which is ours, can be said anyway.
func inOurWords(err error) error {
	said := mistake(err.Error())
	if said.IsZero() {
		return err
	}
	return said.Error()
}

func mistake(text string) lang.Text {
	for _, format := range mistakes {
		parts := strings.Split(regexp.QuoteMeta(format), "%s")
		match := regexp.MustCompile(`(?s)^` + strings.Join(parts, "(.+?)") + `$`).FindStringSubmatch(text)
		if match == nil {
			continue
		}
		var args []any
		known := false
		for _, part := range match[1:] {
			if said := mistake(part); !said.IsZero() {
				args, known = append(args, said), true
			} else {
				args = append(args, part)
			}
		}
		if known || format != nested {
			return lang.T(format, args...)
		}
	}
	return lang.Text{}
}

// What is said of a value in a list of a flag.
const (
	textEmptyValue = "a value is empty, which does not mean that there is no limit: leave the flag out, or name something"
	textNotTool    = "%s is not TOOL=LEVEL"
	textNoCommas   = "%s holds %s: put commas between names"
)
