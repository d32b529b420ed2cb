package scnet_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// TestProxyThatDropsBodiesOfAGet holds before and after the region was seen to take the documented form.
func TestProxyThatDropsBodiesOfAGet(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var bodies, queries int
			dropping := !after
			r := scripted(t, func(r *http.Request) (*http.Response, error) {
				if r.Body == nil {
					queries++
					return fakecloudtest.Answer(200, `{"code":0,"data":[{"id":"a"}]}`), nil
				}
				bodies++
				if dropping {
					fakecloudtest.Left(r)
					return nil, errors.New("unexpected EOF")
				}
				return fakecloudtest.Answer(200, `{"code":0,"data":[{"id":"a"}]}`), nil
			})
			if after {
				list(t, r)
				bodies, dropping = 0, true
			}
			list(t, r)
			list(t, r)
			if bodies != 3 || queries != 2 {
				t.Errorf("%d requests with a body, %d without", bodies, queries)
			}
		})
	}
}

func TestDateThatJumps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim := simulator.New(simulator.Options{Now: time.Now, Regions: []simulator.Region{home()}})
		real, jumps := sim.Transport(), 0
		client := newClient(t, sim, inside(sim, time.Now), func(cfg *scnet.Config) {
			cfg.Transport = fakecloudtest.RoundTrip(func(r *http.Request) (*http.Response, error) {
				resp, err := real.RoundTrip(r)
				if err == nil {
					jumps++
					shift := []time.Duration{0, 40 * time.Hour, -40 * time.Hour, 9000 * time.Hour}[jumps%4]
					resp.Header.Set("Date", time.Now().Add(shift).UTC().Format(http.TimeFormat))
				}
				return resp, err
			})
		})
		for range 200 {
			list(t, pick(t, client, ""))
		}
		if got := len(sent(sim, simulator.EndpointToken)); got != 1 {
			t.Errorf("%d logins", got)
		}
	})
}

func TestWrongAddressesSaySo(t *testing.T) {
	t.Parallel()
	notFound := fakecloudtest.RoundTrip(func(r *http.Request) (*http.Response, error) {
		return fakecloudtest.Answer(404, "<html>nothing here</html>"), nil
	})
	client, err := scnet.New(scnet.Config{
		Token: scnet.NewSecret("t"), AIURL: "https://region.example:65106/ai/openapi/v2", Transport: notFound,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = pick(t, client, "").List(t.Context(), firstPage)
	if e := asError(t, err); !errors.Is(err, scnet.ErrWrongAddress) || !strings.Contains(e.Hint.English, "SCNET_AI_URL") || e.Kind != upstream.Setup {
		t.Errorf("%v, hint %q", err, e.Hint)
	}
	client, err = scnet.New(scnet.Config{
		User: "u", AccessKey: scnet.NewSecret("a"), SecretKey: scnet.NewSecret("s"),
		LoginURL: "https://login.example/api", Transport: notFound,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Regions(t.Context())
	if e := asError(t, err); !errors.Is(err, scnet.ErrNoLogin) || !strings.Contains(e.Hint.English, "SCNET_LOGIN_URL") || e.Kind != upstream.Setup {
		t.Errorf("%v, hint %q", err, e.Hint)
	}
}

func TestRefusedTokenSaysWhenItExpired(t *testing.T) {
	t.Parallel()
	var calls []string
	now := time.UnixMilli(1_790_000_000_000)
	client, err := scnet.New(scnet.Config{
		Token: scnet.NewSecret("e30.eyJleHBpcmVUaW1lIjoiMTc4OTk5OTk5MDAwMCJ9.x"), AIURL: "https://region.example", // 10 s ago
		Now: func() time.Time { return now },
		Transport: fakecloudtest.RoundTrip(func(r *http.Request) (*http.Response, error) {
			calls = append(calls, r.Method+" "+r.URL.Path)
			if r.Method == http.MethodHead || strings.HasSuffix(r.URL.Path, "/next") {
				return fakecloudtest.Answer(500, ""), nil // the platform is of no help
			}
			return fakecloudtest.Answer(200, `{"code":"10008","msg":"权限不足"}`), nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	err = pick(t, client, "").Delete(t.Context(), running)
	if e := asError(t, err); !errors.Is(err, scnet.ErrTokenExpired) || !errors.Is(err, scnet.ErrTokenRefused) ||
		!strings.Contains(err.Error(), "10 seconds ago, at 2026-") || !e.Persists() {
		t.Errorf("%v after %q", err, calls)
	}
}

func TestRowsWithoutAnID(t *testing.T) {
	t.Parallel()
	page, err := canned(t, 200, `{"code":"0","data":[{"id":"a"},{"status":"Running"},{"id":""},{"id":"b"}]}`).List(t.Context(), firstPage)
	if err != nil || len(page.Rows) != 2 || page.Received != 4 || page.Nameless != 2 {
		t.Errorf("%+v, %v", page, err)
	}
}

func TestHugeArgumentsAreNotSent(t *testing.T) {
	t.Parallel()
	r := scripted(t, func(r *http.Request) (*http.Response, error) {
		t.Errorf("%d bytes of URL were sent", len(r.URL.String()))
		return fakecloudtest.Answer(200, `{"code":"0"}`), nil
	})
	huge := strings.Repeat("a", 4<<20)
	_, detail := r.Detail(t.Context(), huge)
	_, restart := r.Restart(t.Context(), huge)
	_, named := r.List(t.Context(), scnet.ListOptions{Limit: 1, Name: huge})
	_, status := r.List(t.Context(), scnet.ListOptions{Limit: 1, Status: scnet.Status(huge)})
	for i, err := range []error{detail, restart, named, status, r.Delete(t.Context(), huge), r.ExecuteScript(t.Context(), huge, scnet.Script{Content: "x"})} {
		if e := asError(t, err); e.Kind != upstream.Argument || e.Delivery != upstream.NotSent || len(err.Error()) > 500 {
			t.Errorf("%d: %.300s", i, fmt.Sprint(err))
		}
	}
}

func TestEveryHintIsInBothLanguages(t *testing.T) {
	t.Parallel()
	for _, c := range codes {
		e := asError(t, canned(t, 200, `{"code":"`+c.code+`"}`).Delete(t.Context(), running))
		if (e.Hint.English == "") != (e.Hint.Chinese == "") || e.Meaning.English == "" || e.Meaning.Chinese == "" {
			t.Errorf("%s: %+v, %+v", c.code, e.Hint, e.Meaning)
		}
	}
}
