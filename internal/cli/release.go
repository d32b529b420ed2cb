package cli

import (
	"runtime/debug"
	"strconv"
	"strings"
)

// releaseStart gives back the memory that only the start needed: a third of the heap, and most pages of the binary. Hosts run
// one server per window, and most of them wait most of the time.
func releaseStart() {
	debug.FreeOSMemory()
	releaseBinary()
}

// span is a range of addresses.
type span struct{ begin, end uintptr }

// unwritable returns where a file is mapped that the process cannot write to, from the text of /proc/self/maps. What could
// be written to may differ from the file, and would be lost.
func unwritable(maps, file string) (spans []span) {
	for line := range strings.Lines(maps) {
		fields := strings.Fields(line)
		if len(fields) < 6 || !strings.HasSuffix(strings.TrimSuffix(line, "\n"), " "+file) {
			continue
		}
		first, last, _ := strings.Cut(fields[0], "-")
		begin, beginErr := strconv.ParseUint(first, 16, strconv.IntSize)
		end, endErr := strconv.ParseUint(last, 16, strconv.IntSize)
		private := fields[1] == "r--p" || fields[1] == "r-xp"
		if private && beginErr == nil && endErr == nil && begin < end {
			spans = append(spans, span{uintptr(begin), uintptr(end)})
		}
	}
	return spans
}
