package anchor

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/secret"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func checkpoint(seq uint64) audit.Checkpoint {
	return audit.Checkpoint{Log: "0123456789abcdef", Seq: seq, Hash: strings.Repeat("a", 64), Time: time.Unix(1e9, 0).UTC(), Key: "k", Signature: "s"}
}

// tally is a Watch that counts.
type tally struct {
	mu       sync.Mutex
	outcomes map[Outcome]int
	waiting  int
}

func (c *tally) watch() Watch {
	c.outcomes = map[Outcome]int{}
	return Watch{
		Outcome: func(o Outcome) { c.mu.Lock(); defer c.mu.Unlock(); c.outcomes[o]++ },
		Waiting: func(n int) { c.mu.Lock(); defer c.mu.Unlock(); c.waiting += n },
	}
}

func (c *tally) of(o Outcome) int { c.mu.Lock(); defer c.mu.Unlock(); return c.outcomes[o] }

// receiver answers in place of a network.
type receiver struct {
	mu     sync.Mutex
	answer func(n int) (status int, err error) // to the n-th request
	seqs   []uint64
	asked  int
}

func (r *receiver) RoundTrip(request *http.Request) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var c audit.Checkpoint
	if err := json.NewDecoder(request.Body).Decode(&c); err != nil {
		return nil, err
	}
	r.asked++
	status, err := r.answer(r.asked)
	if err != nil {
		return nil, err
	}
	if status < 300 {
		r.seqs = append(r.seqs, c.Seq)
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("")), Request: request, Header: http.Header{}}, nil
}

func sender(t *testing.T, r *receiver) (*Sender, *tally, *bytes.Buffer) {
	t.Helper()
	s, err := New("https://collector.example.org/in?key=hidden", secret.Value{})
	if err != nil {
		t.Fatal(err)
	}
	s.client.Transport = r
	c, log := &tally{}, &bytes.Buffer{}
	s.WatchWith(c.watch(), zerolog.New(log))
	return s, c, log
}

func TestSent(t *testing.T) {
	type got struct{ kind, token, body string }
	requests := make(chan got, 2)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- got{r.Header.Get("Content-Type"), r.Header.Get("Authorization"), string(body)}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer web.Close()
	s, err := New(web.URL+"/in", secret.New("t0ken"))
	if err != nil {
		t.Fatal(err)
	}
	s.Send(checkpoint(1))
	s.Send(checkpoint(2))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for seq := range uint64(2) {
		r := <-requests
		var c audit.Checkpoint
		if err := json.Unmarshal([]byte(r.body), &c); err != nil || c != checkpoint(seq+1) || !strings.HasSuffix(r.body, "}\n") {
			t.Errorf("%q: %v", r.body, err)
		}
		if r.kind != "application/json" || r.token != "Bearer t0ken" {
			t.Errorf("%+v", r)
		}
	}
}

func TestRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(n int) (int, error) {
			switch {
			case n <= 3:
				return 0, errors.New("no route")
			case n <= 5:
				return http.StatusServiceUnavailable, nil
			}
			return http.StatusOK, nil
		}}
		s, c, log := sender(t, r)
		s.Send(checkpoint(1))
		s.Send(checkpoint(2))
		<-time.After(time.Second * (1 + 2 + 4 + 8 + 16 + 1))
		synctest.Wait()
		if len(r.seqs) != 2 || c.of(Sent) != 2 || c.of(Failed) != 5 || c.waiting != 0 {
			t.Errorf("sent %v, %v, %d wait", r.seqs, c.outcomes, c.waiting)
		}
		text := log.String()
		if strings.Count(text, "\n") != 2 || !strings.Contains(text, "no route") || !strings.Contains(text, "again") || strings.Contains(text, "hidden") {
			t.Errorf("%s", text)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Who gives checkpoints never waits; the newest ones stay.
func TestOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := false
		r := &receiver{}
		r.answer = func(int) (int, error) {
			if up {
				return http.StatusOK, nil
			}
			return 0, errors.New("down")
		}
		s, c, _ := sender(t, r)
		for seq := range uint64(maxWaiting + 10) {
			s.Send(checkpoint(seq + 1))
		}
		synctest.Wait()
		if c.of(Lost) != 10 || c.waiting != maxWaiting {
			t.Errorf("%v, %d wait", c.outcomes, c.waiting)
		}
		r.mu.Lock()
		up = true
		r.mu.Unlock()
		<-time.After(2 * longestPause)
		synctest.Wait()
		if len(r.seqs) != maxWaiting || r.seqs[0] != 11 || c.waiting != 0 {
			t.Errorf("%d sent, from %d", len(r.seqs), r.seqs[0])
		}
		if err := s.Close(); err == nil || !strings.Contains(err.Error(), "10 checkpoints") {
			t.Errorf("%v", err)
		}
	})
}

func TestNeverTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(n int) (int, error) {
			if n == 1 {
				return http.StatusUnprocessableEntity, nil
			}
			return http.StatusOK, nil
		}}
		s, c, log := sender(t, r)
		s.Send(checkpoint(1))
		s.Send(checkpoint(2))
		synctest.Wait()
		if len(r.seqs) != 1 || r.seqs[0] != 2 || c.of(Lost) != 1 || c.waiting != 0 || !strings.Contains(log.String(), "status 422") {
			t.Errorf("sent %v, %v\n%s", r.seqs, c.outcomes, log)
		}
		_ = s.Close()
	})
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, log := sender(t, &receiver{answer: func(int) (int, error) { return http.StatusBadGateway, nil }})
		s.Send(checkpoint(7))
		began := time.Now()
		if err := s.Close(); err == nil || time.Since(began) > lastPatience {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if c.of(Lost) != 1 || c.waiting != 0 || !strings.Contains(log.String(), `"seq":7`) {
			t.Errorf("%v\n%s", c.outcomes, log)
		}
	})
}

func TestNoRedirect(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer elsewhere.Close()
	web := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer web.Close()
	s, err := New(web.URL, secret.New("t0ken"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.post(checkpoint(1)); !errors.Is(err, upstream.StatusError(http.StatusTemporaryRedirect)) {
		t.Errorf("%v", err)
	}
}

func TestAddress(t *testing.T) {
	for address, want := range map[string]string{
		"https://x.example.org/a?b=c":   "",
		"http://127.0.0.1:9/x":          "",
		"http://collector:4000/":        "a token needs https",
		"ftp://x.example.org":           "not a URL such as",
		"collector":                     "not a URL such as",
		"https://u:p@x.example.org":     "neither a user name",
		"https://x.example.org/#part":   "neither a user name",
		"https://[x.example.org":        "not a URL such as",
		"https://x.example.org/\x00abc": "not a URL such as",
	} {
		s, err := New(address, secret.New("t0ken"))
		switch {
		case (err == nil) != (want == ""), err != nil && !strings.Contains(err.Error(), want):
			t.Errorf("%q: %v", address, err)
		case err == nil:
			_ = s.Close()
		}
	}
	s, err := New("http://collector:4000/", secret.Value{})
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	if _, err := New("https://x.example.org", secret.New("a\nb")); err == nil {
		t.Error("a token with a line end")
	}
}
