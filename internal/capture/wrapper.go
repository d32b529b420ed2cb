// Package capture gets the exit code and the output of a script out of a container. SCNet reports neither; but a region's
// file service and its containers share storage. [Start] makes a directory with a name that nobody can guess, a wrapper
// around the script looks for it inside the container, runs the script only if it finds it, and leaves there what became of
// it. The storage is the only state: whoever has the id of a [Run] can ask for it.
package capture

import (
	"crypto/rand"
	_ "embed" // for the template
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

//go:embed wrapper.tmpl
var template string

const (
	// MaxScript is the largest script that is wrapped: the wrapper is half as large again.
	MaxScript = 24 << 10

	wholeStream = 64 << 10 // a longer stream is read by its two ends
	streamEnd   = 32 << 10

	beat  = 10 * time.Second // between signs of life
	grace = 10 * time.Second // between TERM and KILL
	// late is how long after it was sent a copy of the wrapper still runs: a restart that replays a stored script comes later,
	// and nothing may run twice.
	late = 10 * time.Minute
)

// ID is the name of a run: when it was made, and what nobody can guess.
type ID string

var (
	idPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{32}$`)
	})
	shellPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[a-z0-9]{1,20}$`)
	})
	pathPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(/[A-Za-z0-9._@%+=:-]+)+$`)
	})
)

const idTime = "20060102T150405Z"

// NewID returns a new id.
func NewID(now time.Time) ID {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	return ID(now.UTC().Format(idTime) + "-" + hex.EncodeToString(random[:]))
}

// ParseID returns false for what is not exactly an id, so that it can become a part of a path.
func ParseID(text string) (ID, bool) {
	if !idPattern().MatchString(text) || ID(text).Time().IsZero() {
		return "", false
	}
	return ID(text), true
}

// Time returns when the id was made.
func (id ID) Time() time.Time {
	at, err := time.Parse(idTime, string(id[:min(len(id), len(idTime))]))
	if err != nil {
		return time.Time{}
	}
	return at
}

// folder is where a run is, below a base.
func (id ID) folder() string { return ".scnet-mcp/runs/" + string(id) }

// wrapping is what the wrapper needs to know besides the script.
type wrapping struct {
	id         ID
	containers int      // that may run it
	candidates []string // where the run's directory may be inside the container
	shell      string   // "auto": bash, else sh
	timeout    time.Duration
	expires    time.Time

	local              string // a directory of each container's own
	cap, half          int
	tries, beat, grace int
}

func newWrapping(id ID) wrapping {
	return wrapping{
		id: id, containers: 1, shell: "auto", expires: id.Time().Add(late), local: "/dev/shm", cap: wholeStream, half: streamEnd,
		tries: 15, beat: int(beat.Seconds()), grace: int(grace.Seconds()),
	}
}

// wrap returns the script in its wrapper: ASCII without backslash, single quote or tab, so that it survives being unescaped
// once too often.
func (w wrapping) wrap(script string) (string, error) {
	if !shellPattern().MatchString(w.shell) {
		return "", lang.Errorf("%q is not the name of a shell", w.shell)
	}
	quoted := make([]string, 0, len(w.candidates))
	for _, c := range w.candidates {
		if !pathPattern().MatchString(c) {
			return "", lang.Errorf("%q is not a path that a wrapper can hold", c)
		}
		quoted = append(quoted, `"`+c+`"`)
	}
	return strings.NewReplacer(
		"@RUNID@", string(w.id), "@REL@", w.id.folder(), "@ALL@", strconv.Itoa(w.containers), "@LOCAL@", w.local,
		"@EXPIRES@", strconv.FormatInt(w.expires.Unix(), 10), "@MAX@", strconv.Itoa(int(w.timeout.Seconds())),
		"@CAP@", strconv.Itoa(w.cap), "@HALF@", strconv.Itoa(w.half), "@CKSUM@", fmt.Sprintf("%d %d", cksum(script), len(script)),
		"@LEN@", strconv.Itoa(len(script)), "@SHELL@", w.shell, "@CANDIDATES@", strings.Join(quoted, " "),
		"@TRIES@", strconv.Itoa(w.tries), "@BEAT@", strconv.Itoa(w.beat), "@GRACE@", strconv.Itoa(w.grace),
		"@B64@", folded(base64.StdEncoding.EncodeToString([]byte(script))),
	).Replace(template), nil
}

func folded(text string) string {
	const width = 76
	var b strings.Builder
	for len(text) > width {
		b.WriteString(text[:width] + "\n")
		text = text[width:]
	}
	return b.String() + text
}

// cksum is that of POSIX: CRC-32 with the polynomial 04C11DB7, most significant bit first, over the data and then its length.
func cksum(data string) uint32 {
	var crc uint32
	step := func(c byte) {
		crc ^= uint32(c) << 24
		for range 8 {
			if crc&0x80000000 != 0 {
				crc = crc<<1 ^ 0x04C11DB7
			} else {
				crc <<= 1
			}
		}
	}
	for i := range len(data) {
		step(data[i])
	}
	for n := len(data); n > 0; n >>= 8 {
		step(byte(n))
	}
	return ^crc
}
