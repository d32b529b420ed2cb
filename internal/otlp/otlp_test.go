package otlp

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/scnet-mcp/scnet-mcp/internal/trace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receiver answers in place of a network, and reads what it gets as strictly as the JSON of OTLP is defined.
type receiver struct {
	t      *testing.T
	mu     sync.Mutex
	answer func(n int) (status int, err error) // to the n-th request
	asked  int
	spans  []span
	last   exportRequest
	header http.Header
}

func (r *receiver) RoundTrip(request *http.Request) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	r.header = request.Header
	status, err := http.StatusOK, error(nil)
	if r.answer != nil {
		status, err = r.answer(r.asked)
	}
	body, _ := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	if status == http.StatusOK {
		r.take(body)
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("{}")), Request: request, Header: http.Header{}}, nil
}

func (r *receiver) take(body []byte) {
	var got exportRequest
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil {
		r.t.Errorf("%s: %v", body, err)
	}
	r.last = got
	for _, s := range got.ResourceSpans[0].ScopeSpans[0].Spans {
		start, err1 := strconv.ParseUint(s.Start, 10, 64)
		end, err2 := strconv.ParseUint(s.End, 10, 64)
		id, err3 := hex.DecodeString(s.TraceID)
		own, err4 := hex.DecodeString(s.SpanID)
		if err := errors.Join(err1, err2, err3, err4); err != nil || end < start || len(id) != 16 || len(own) != 8 {
			r.t.Errorf("%+v: %v", s, err)
		}
		r.spans = append(r.spans, s)
	}
}

func (r *receiver) requests() int { r.mu.Lock(); defer r.mu.Unlock(); return r.asked }

type counts struct {
	mu         sync.Mutex
	sent, lost int
}

func (c *counts) note(n int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ok {
		c.sent += n
	} else {
		c.lost += n
	}
}

func exporter(t *testing.T, r *receiver) (*Exporter, *counts, *bytes.Buffer) {
	t.Helper()
	r.t = t
	c, log := &counts{}, &bytes.Buffer{}
	e := New(Options{
		URL: "https://collector.example.org/v1/traces", Header: http.Header{"Api-Key": {"hidden"}}, Version: "v1",
		Resource: []trace.Attribute{{Name: "service.name", Value: "scnet-mcp"}}, Timeout: time.Second,
		Sent: c.note, Log: zerolog.New(log),
	})
	e.client.Transport = r
	return e, c, log
}

func record(t *testing.T, e *Exporter, n int) {
	t.Helper()
	ctx := trace.WithRecorder(t.Context(), e)
	for range n {
		_, s := trace.Start(ctx, trace.Client, "GET")
		s.Set("server.address", "api.scnet.cn")
		s.Set("http.response.status_code", int64(503))
		s.Set("x", true)
		s.End("503")
	}
}

func TestExport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{}
		e, c, _ := exporter(t, r)
		record(t, e, 2)
		synctest.Wait()
		if r.requests() != 0 {
			t.Error("spans are sent one by one")
		}
		<-time.After(sendEvery + time.Second)
		synctest.Wait()
		if r.asked != 1 || len(r.spans) != 2 || c.sent != 2 {
			t.Fatalf("%d requests, %d spans", r.asked, len(r.spans))
		}
		if r.header.Get("Api-Key") != "hidden" || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%v", r.header)
		}
		text, err := json.Marshal(r.spans[0].Attributes)
		const want = `[{"key":"server.address","value":{"stringValue":"api.scnet.cn"}},` +
			`{"key":"http.response.status_code","value":{"intValue":"503"}},{"key":"x","value":{"boolValue":true}},` +
			`{"key":"error.type","value":{"stringValue":"503"}}]`
		if err != nil || string(text) != want {
			t.Errorf("%s", text)
		}
		if s := r.spans[0]; s.Kind != 3 || s.Status.Code != 2 || s.Name != "GET" || s.Flags != 1 {
			t.Errorf("%+v", s)
		}
		if from := r.last.ResourceSpans[0]; *from.Resource.Attributes[0].Value.String != "scnet-mcp" || from.ScopeSpans[0].Scope.Version != "v1" {
			t.Errorf("%+v", from)
		}
		record(t, e, 1)
		e.Close() // sends the rest
		if len(r.spans) != 3 {
			t.Errorf("%d spans", len(r.spans))
		}
	})
}

func TestFullBatchGoesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{}
		e, c, _ := exporter(t, r)
		record(t, e, maxBatch+1)
		synctest.Wait()
		if len(r.spans) < maxBatch {
			t.Errorf("%d spans", len(r.spans))
		}
		e.Close()
		if c.sent != maxBatch+1 {
			t.Errorf("%+v", c)
		}
	})
}

func TestRetry(t *testing.T) {
	for name, c := range map[string]struct {
		answers []int // 0: no answer
		asked   int
		sent    int
	}{
		"temporary": {[]int{503, 0, 200}, 3, 1},
		"final":     {[]int{400}, 1, 0},
		"too often": {[]int{429, 429, 0, 502}, 4, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &receiver{answer: func(n int) (int, error) {
					if status := c.answers[n-1]; status > 0 {
						return status, nil
					}
					return 0, errors.New("no route")
				}}
				e, counted, log := exporter(t, r)
				record(t, e, 1)
				<-time.After(time.Minute)
				synctest.Wait()
				if r.asked != c.asked || counted.sent != c.sent || counted.lost != 1-c.sent {
					t.Errorf("asked %d times, %+v", r.asked, counted)
				}
				if (c.sent == 0) != strings.Contains(log.String(), "traces cannot be sent") || strings.Contains(log.String(), "hidden") {
					t.Errorf("%s", log)
				}
				e.Close()
			})
		})
	}
}

// A receiver that is down costs neither memory without bound nor a slow end.
func TestReceiverDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(int) (int, error) { return 0, errors.New("down") }}
		e, c, log := exporter(t, r)
		record(t, e, 3*maxWaiting)
		began := time.Now()
		e.Close()
		if took := time.Since(began); took > lastPatience {
			t.Errorf("closing took %s", took)
		}
		if len(e.waiting) > maxWaiting || c.lost < maxWaiting || strings.Count(log.String(), "\n") > 1 {
			t.Errorf("%d wait, %+v\n%s", len(e.waiting), c, log)
		}
	})
}

func TestOverHTTP(t *testing.T) {
	got := make(chan string, 1)
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Method + " " + r.URL.Path }))
	defer web.Close()
	e := New(Options{URL: web.URL + "/v1/traces", Timeout: time.Second})
	record(t, e, 1)
	e.Close()
	if request := <-got; request != "POST /v1/traces" {
		t.Error(request)
	}
}
