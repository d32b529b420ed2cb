// Command compare measures servers beside each other in one run, in turn, so that all of them see the same machine: this
// one, a bare mcp-go server that echoes, any other whose command is given, and the parts of a call by themselves. `make
// bench` and `make bench-peer` run it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
	"time"
)

// settings are what is measured, and for how long.
type settings struct {
	server, peer, peerHTTP, tool, arguments string
	only                                    *regexp.Regexp
	each                                    time.Duration
	rounds                                  int
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "echo" {
		check(echo(os.Args[2:]))
		return
	}
	var s settings
	flag.StringVar(&s.server, "server", "bin/scnet-mcp", "the binary of this server")
	flag.StringVar(&s.peer, "peer", "", "the command of another server, over stdio")
	flag.StringVar(&s.peerHTTP, "peer-http", "", "the command that lets it serve Streamable HTTP at /mcp; the address is added to it")
	flag.StringVar(&s.tool, "tool", "", "the tool of the other server that is called")
	flag.StringVar(&s.arguments, "args", "{}", "its arguments")
	flag.DurationVar(&s.each, "each", time.Second, "how long each is measured at a time")
	flag.IntVar(&s.rounds, "rounds", 3, "how often; the median counts")
	only := flag.String("only", "", "measure only the lines whose name and rows match this regular expression")
	flag.Parse()
	var err error
	s.only, err = regexp.Compile(*only)
	check(err)
	check(compare(context.Background(), s))
}

func check(err error) {
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func compare(ctx context.Context, s settings) error {
	service, err := startService(ctx)
	if err != nil {
		return err
	}
	defer service.close()
	processes, err := processesOf(s, service)
	if err == nil {
		err = measureProcesses(ctx, s, processes) // while nothing else runs
	}
	if err != nil {
		return err
	}
	subjects, err := subjectsOf(ctx, s, service)
	defer func() {
		for _, each := range subjects {
			each.close()
		}
	}()
	if err != nil {
		return err
	}
	var results []result
	for _, callers := range []int{1, 16, 256} {
		found := make([][]sample, len(subjects))
		for range s.rounds {
			for i, each := range subjects {
				if callers > 1 && each.alone || !s.only.MatchString(each.name+" "+count(each.rows)) {
					continue
				}
				one, err := measure(ctx, each, callers, s.each)
				if err != nil {
					return fmt.Errorf("%s: %w", each.name, err)
				}
				found[i] = append(found[i], one)
			}
		}
		for i, each := range subjects {
			if len(found[i]) > 0 {
				results = append(results, result{subject: each, callers: callers, sample: medians(found[i])})
			}
		}
	}
	if err := write(os.Stdout, results); err != nil {
		return err
	}
	return writeProcesses(os.Stdout, processes)
}
