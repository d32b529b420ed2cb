package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

const (
	startsPerRound = 5
	// settled is how long after its start a server is idle: it may give memory back before.
	settled = 3 * time.Second
	calls   = 2000
)

// process is a server whose start and memory are measured, over stdio.
type process struct {
	name                 string
	command, environment []string
	tool, arguments      string

	starts           []time.Duration // to the reply to tools/list
	idle, afterCalls memory
}

// memory is what of a process is resident, and the most that was, in KB.
type memory struct{ all, private, peak int }

// processesOf are those of subjectsOf that are measured as processes.
func processesOf(s settings, service *service) ([]*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	list := []*process{
		{name: echoOverStdio, command: []string{self, "echo"}, tool: "echo", arguments: `{"text":"hello"}`},
		{name: "this server, stdio", command: []string{s.server, "serve"}, environment: service.environment(),
			tool: "list_instances", arguments: limited(rowCounts[0])},
	}
	if s.peer != "" {
		words := strings.Fields(s.peer)
		list = append(list, &process{name: words[0], command: words, tool: s.tool, arguments: s.arguments})
	}
	return list, nil
}

// measureProcesses starts them in turn, and then lets each be idle and work.
func measureProcesses(ctx context.Context, s settings, list []*process) error {
	for range s.rounds * startsPerRound {
		for _, p := range list {
			begun := time.Now()
			client, err := p.start(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			p.starts = append(p.starts, time.Since(begun))
			client.close()
		}
	}
	for _, p := range list {
		if err := p.measureMemory(ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

func (p *process) start(ctx context.Context) (*overStdio, error) {
	client, err := startStdio(ctx, p.command, p.environment)
	if err == nil {
		_, err = client.ask(func(id int) []byte { return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"tools/list"}`, id) })
	}
	return client, err
}

func (p *process) measureMemory(ctx context.Context) error {
	client, err := p.start(ctx)
	if err != nil {
		return err
	}
	defer client.close()
	<-time.After(settled)
	p.idle = memoryOf(client.cmd.Process.Pid)
	for range calls {
		if err := client.call(p.tool, p.arguments); err != nil {
			return err
		}
	}
	p.afterCalls = memoryOf(client.cmd.Process.Pid)
	return nil
}

// memoryOf is 0 where it cannot be told.
func memoryOf(pid int) (m memory) {
	status, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	for line := range strings.Lines(string(status)) {
		name, rest, _ := strings.Cut(line, ":")
		value, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
		switch name {
		case "VmRSS":
			m.all = value
		case "RssAnon":
			m.private = value
		case "VmHWM":
			m.peak = value
		}
	}
	return m
}

// writeProcesses prints their table. The first is what the others are compared with.
func writeProcesses(out io.Writer, list []*process) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintf(w, "\nwhat\tstart ms\tof bare mcp-go\tidle MB\tprivate\tafter %d calls\tprivate\tat most\t\n", calls)
	bare := list[0].medianStart()
	for _, p := range list {
		start := float64(p.medianStart().Microseconds()) / 1000
		_, _ = fmt.Fprintf(w, "%s\t%.1f\t%.2f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t\n", p.name, start,
			float64(p.medianStart())/float64(bare), megabytes(p.idle.all), megabytes(p.idle.private),
			megabytes(p.afterCalls.all), megabytes(p.afterCalls.private), megabytes(p.afterCalls.peak))
	}
	return w.Flush()
}

func (p *process) medianStart() time.Duration {
	sorted := slices.Sorted(slices.Values(p.starts))
	return sorted[len(sorted)/2]
}

func megabytes(kilobytes int) float64 { return float64(kilobytes) / 1024 }
