package capture

import (
	"strconv"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// record is what the wrapper writes when a script is over.
type record struct {
	state       string // "exited", "timeout", "cancelled", "corrupt", "noshell", "nowrite"
	exit        int
	hasExit     bool
	start, end  time.Time
	shell       string
	out, errOut int64
}

// errRecord is for a record that is not complete, as after a full disk, or not of this run.
var errRecord = lang.Errorf("the record is incomplete")

// parseRecord reads a record. Its first and its last line are certain, so an error page that came in its place is not taken
// for one.
func parseRecord(content string, id ID) (record, error) {
	lines := strings.Split(content, "\n")
	if len(lines) < 3 || len(lines) > 40 || lines[0] != "scnet-mcp-run 1 "+string(id) || lines[len(lines)-1] != "" ||
		lines[len(lines)-2] != "end_of_record" {
		return record{}, errRecord
	}
	values := map[string]string{}
	for _, line := range lines[1 : len(lines)-2] {
		key, value, ok := strings.Cut(line, "=")
		if _, twice := values[key]; !ok || twice {
			return record{}, errRecord
		}
		values[key] = value
	}
	r := record{state: values["state"], shell: values["shell"]}
	number := func(key string) int64 {
		n, err := strconv.ParseInt(strings.TrimSpace(values[key]), 10, 64)
		if err != nil || n < 0 {
			return -1
		}
		return n
	}
	r.out, r.errOut = number("out_bytes"), number("err_bytes")
	if r.out < 0 || r.errOut < 0 {
		return record{}, errRecord
	}
	if exit := number("exit"); exit >= 0 && exit <= 255 {
		r.exit, r.hasExit = int(exit), true
	}
	if start, end := number("start"), number("end"); start > 0 && end >= start {
		r.start, r.end = time.Unix(start, 0), time.Unix(end, 0)
	}
	switch r.state {
	case "exited":
		if !r.hasExit {
			return record{}, errRecord
		}
	case "timeout", "cancelled", "corrupt", "noshell", "nowrite":
	default:
		return record{}, errRecord
	}
	return r, nil
}
