package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// result is a line of the table.
type result struct {
	subject
	sample
	callers int
}

// write prints the table. The ratios are to the bare server over the same transport with as many callers, and to one
// decoding pass over the answer that the call is about.
func write(out io.Writer, results []result) error {
	find := func(name string, rows, callers int) (sample, bool) {
		for _, r := range results {
			if r.name == name && r.rows == rows && r.callers == callers {
				return r.sample, true
			}
		}
		return sample{}, false
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "what\trows\tcallers\tcalls/s\tmedian µs\tp99 µs\tCPU µs/call\tof bare mcp-go\tCPU : pass\t")
	for _, r := range results {
		bare := echoOverStdio
		if strings.HasSuffix(r.name, "HTTP") {
			bare = echoOverHTTP
		}
		share, passes := "", ""
		if other, ok := find(bare, 0, r.callers); ok && r.pid != 0 {
			share = fmt.Sprintf("%.2f", r.perSecond/other.perSecond)
		}
		if pass, ok := find(onePass, r.rows, 1); ok && r.pid != 0 {
			passes = fmt.Sprintf("%.1f", float64(r.processorTime)/float64(pass.median))
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%.0f\t%d\t%d\t%d\t%s\t%s\t\n", r.name, count(r.rows), r.callers, r.perSecond,
			microseconds(r.median), microseconds(r.p99), microseconds(r.processorTime), share, passes)
	}
	return w.Flush()
}

func count(rows int) string {
	if rows == 0 {
		return ""
	}
	return fmt.Sprint(rows)
}

func microseconds(d time.Duration) int64 { return d.Microseconds() }
