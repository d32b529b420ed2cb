package metrics

import (
	"bytes"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is the unit of times in /proc, on all architectures of Linux that we build for.
const ticksPerSecond = 100

// The fields of /proc/self/stat after the name of the command.
const (
	userTicks = 11 + iota
	systemTicks
	virtualBytes  = 20
	residentPages = 21
)

// writeProcess appends the metrics of the process that /proc tells, under the names by which dashboards know them. Where
// there is no /proc, only the time of its start is known.
func writeProcess(out *exposition, started time.Time) {
	out.one("process_start_time_seconds", gauge, "Unix time at which the process started.", float64(started.UnixMilli())/1e3)
	stat, _ := os.ReadFile("/proc/self/stat")
	if fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]); len(fields) > residentPages {
		field := func(i int) float64 { return parsed(string(fields[i])) }
		out.one("process_cpu_seconds_total", counter, "CPU time of the process, in user mode and in the system.",
			(field(userTicks)+field(systemTicks))/ticksPerSecond)
		out.one("process_virtual_memory_bytes", gauge, "Size of the virtual memory.", field(virtualBytes))
		out.one("process_resident_memory_bytes", gauge, "Size of the resident memory.",
			field(residentPages)*float64(os.Getpagesize()))
	}
	if open, err := os.ReadDir("/proc/self/fd"); err == nil {
		out.one("process_open_fds", gauge, "Number of open file descriptors.", float64(len(open)-1)) // one of them reads the list
	}
	limits, _ := os.ReadFile("/proc/self/limits")
	for line := range strings.Lines(string(limits)) {
		if rest, ok := strings.CutPrefix(line, "Max open files "); ok {
			out.one("process_max_fds", gauge, "Largest number of open file descriptors.", limit(rest))
		} else if rest, ok := strings.CutPrefix(line, "Max address space "); ok {
			out.one("process_virtual_memory_max_bytes", gauge, "Largest size of the virtual memory.", limit(rest))
		}
	}
	netstat, _ := os.ReadFile("/proc/self/net/netstat")
	if traffic := extensions(string(netstat)); traffic != nil {
		out.one("process_network_receive_bytes_total", counter, "Number of bytes received over the network.",
			traffic["InOctets"])
		out.one("process_network_transmit_bytes_total", counter, "Number of bytes sent over the network.",
			traffic["OutOctets"])
	}
}

// limit reads the soft limit, which comes first.
func limit(text string) float64 {
	soft, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	if soft == "unlimited" {
		return math.MaxUint64
	}
	return parsed(soft)
}

// extensions returns the numbers of /proc/self/net/netstat in its section IpExt: a line of names, and one of values.
func extensions(netstat string) map[string]float64 {
	var names []string
	for line := range strings.Lines(netstat) {
		rest, ok := strings.CutPrefix(line, "IpExt:")
		if !ok {
			continue
		}
		fields := strings.Fields(rest)
		if names == nil {
			names = fields
			continue
		}
		found := map[string]float64{}
		for i := range min(len(names), len(fields)) {
			found[names[i]] = parsed(fields[i])
		}
		return found
	}
	return nil
}

// parsed is 0 for what is not a number, as the kernel never writes it.
func parsed(text string) float64 {
	value, _ := strconv.ParseFloat(text, 64)
	return value
}
