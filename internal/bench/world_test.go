package bench_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/server"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// canned answers a list request with the bytes of the first answer to it, so that the service costs next to nothing.
type canned struct {
	service http.RoundTripper

	mu    sync.Mutex
	lists map[string][]byte // by query
}

// bytes is how much the service has sent, each answer once.
func (c *canned) bytes() (n int64) {
	for _, list := range c.lists {
		n += int64(len(list))
	}
	return n
}

// RoundTrip implements http.RoundTripper.
func (c *canned) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/instance-service/task") {
		return c.service.RoundTrip(r)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	list, ok := c.lists[r.URL.RawQuery]
	if !ok {
		resp, err := c.service.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		if list, err = io.ReadAll(resp.Body); err != nil {
			return nil, err
		}
		c.lists[r.URL.RawQuery] = list
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		ContentLength: int64(len(list)), Body: io.NopCloser(bytes.NewReader(list)),
	}, nil
}

// world is a server over a service with one region of so many instances.
type world struct {
	service *canned
	client  *scnet.Client
	server  *server.Server
	rows    int
}

func newWorld(tb testing.TB, rows int) *world {
	tb.Helper()
	now := time.Now()
	region := simulator.Region{ID: "11250", Name: "华东一区【昆山】"}
	for i := range rows {
		in := simulator.DemoRegions(now)[0].Instances[0]
		in.ID, in.Name = "", fmt.Sprintf("train-%05d", i)
		region.Instances = append(region.Instances, in)
	}
	s := simulator.New(simulator.Options{Regions: []simulator.Region{region}})
	w := &world{service: &canned{service: s.Transport(), lists: map[string][]byte{}}, rows: rows}
	account := simulator.DemoAccount()
	var err error
	w.client, err = scnet.New(scnet.Config{
		User: account.User, AccessKey: scnet.NewSecret(account.AccessKey), SecretKey: scnet.NewSecret(account.SecretKey),
		LoginURL: s.URL(), PlatformURL: s.URL(), Transport: w.service,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(w.client.Close)
	box := toolbox.New(toolbox.Rules{TrustResults: true}, tools.Instances{SCNet: w.client, Now: time.Now}.Tools())
	w.server = server.New(server.Options{Name: "bench", Version: "1", Toolbox: box, Log: zerolog.Nop()})
	return w
}

// page asks the client for all rows.
func (w *world) page(tb testing.TB) {
	r, err := w.client.Region(tb.Context(), "")
	if err != nil {
		tb.Fatal(err)
	}
	page, err := r.List(tb.Context(), scnet.ListOptions{Limit: w.rows})
	if err != nil || len(page.Rows) != w.rows {
		tb.Fatalf("%d rows, %v", len(page.Rows), err)
	}
}

// stdio returns what makes one call of list_instances over a pair of pipes, which shows as many rows as one may.
func (w *world) stdio(tb testing.TB) func() {
	inReader, inWriter := io.Pipe()
	outReader, outWriter := io.Pipe()
	ended := make(chan error)
	go func() { ended <- w.server.ServeStdio(context.Background(), inReader, outWriter, server.DefaultGrace) }()
	tb.Cleanup(func() {
		_ = inWriter.Close()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	})
	answers := bufio.NewReaderSize(outReader, 1<<20)
	shown := min(w.rows, 200)
	line := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_instances","arguments":{"limit":%d}}}`+"\n",
		shown)
	returned := fmt.Appendf(nil, `"returned":%d`, shown)
	return func() {
		if _, err := io.WriteString(inWriter, line); err != nil {
			tb.Fatal(err)
		}
		answer, err := answers.ReadSlice('\n')
		if err != nil {
			tb.Fatal(err)
		}
		if !bytes.Contains(answer, returned) {
			tb.Fatalf("unexpected: %.2000s", answer)
		}
	}
}
