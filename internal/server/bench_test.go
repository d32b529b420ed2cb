package server

import (
	"bufio"
	"context"
	"io"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// BenchmarkListInstances compares a call of list_instances over stdio with the request that it makes. The metric ratio is
// what a call takes, divided by what the bare request takes.
func BenchmarkListInstances(b *testing.B) {
	now := time.Now()
	region := simulator.Region{ID: "11250", Name: "华东一区【昆山】"}
	for range 20 {
		in := simulator.DemoRegions(now)[0].Instances[0]
		in.ID = ""
		region.Instances = append(region.Instances, in)
	}
	s := simulator.New(simulator.Options{Regions: []simulator.Region{region}})
	if err := s.Start("127.0.0.1:0"); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	account := simulator.DemoAccount()
	service, err := scnet.New(scnet.Config{
		User: account.User, AccessKey: scnet.NewSecret(account.AccessKey), SecretKey: scnet.NewSecret(account.SecretKey),
		LoginURL: s.URL(), PlatformURL: s.URL(),
	})
	if err != nil {
		b.Fatal(err)
	}
	defer service.Close()

	box := toolbox.New(toolbox.Rules{}, tools.Instances{SCNet: service}.Tools())
	server := New(Options{Name: "bench", Version: "1", Toolbox: box, Log: zerolog.Nop()})
	inReader, inWriter := io.Pipe()
	outReader, outWriter := io.Pipe()
	ended := make(chan error)
	go func() { ended <- server.ServeStdio(context.Background(), inReader, outWriter, DefaultGrace) }()
	answers := bufio.NewReaderSize(outReader, 1<<20)
	line := call("1", "list_instances", `{}`)
	overStdio := func() {
		if _, err := io.WriteString(inWriter, line); err != nil {
			b.Fatal(err)
		}
		answer, err := answers.ReadSlice('\n')
		if err != nil {
			b.Fatal(err)
		}
		if len(answer) < 4000 {
			b.Fatalf("unexpected: %s", answer)
		}
	}
	bare := func() {
		r, err := service.Region(b.Context(), "")
		if err != nil {
			b.Fatal(err)
		}
		page, err := r.List(b.Context(), scnet.ListOptions{Limit: 20})
		if err != nil || len(page.Rows) != 20 {
			b.Fatalf("%d rows, %v", len(page.Rows), err)
		}
	}
	overStdio() // log in
	bare()

	b.ReportAllocs()
	var whole, part time.Duration
	for b.Loop() { // taken in turns, so that both see the same machine
		begun := time.Now()
		overStdio()
		middle := time.Now()
		bare()
		whole += middle.Sub(begun)
		part += time.Since(middle)
	}
	b.ReportMetric(float64(whole.Nanoseconds())/float64(b.N), "server-ns/op")
	b.ReportMetric(float64(part.Nanoseconds())/float64(b.N), "client-ns/op")
	b.ReportMetric(float64(whole)/float64(part), "ratio")

	_ = inWriter.Close()
	if err := <-ended; err != nil {
		b.Error(err)
	}
}
