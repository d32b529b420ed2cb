package scnet_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

func TestLoginErrors(t *testing.T) {
	t.Parallel()
	other := simulator.Account{User: "other", AccessKey: "11111111111111111111111111111111", SecretKey: "22222222222222222222222222222222"}
	for name, c := range map[string]struct {
		quirks simulator.Quirks
		fault  simulator.Fault
		change change
		want   error
		code   string
		hint   string
	}{
		"bad signature": {
			change: func(c *scnet.Config) { c.SecretKey = scnet.NewSecret("wrong") },
			want:   scnet.ErrSignature, code: "10009", hint: "clock",
		},
		"renamed login": {
			change: func(c *scnet.Config) { c.User = "demo-old" },
			want:   scnet.ErrUnknownUser, code: "10009", hint: "renamed",
		},
		"unknown key": {
			change: func(c *scnet.Config) { c.AccessKey = scnet.NewSecret("gone") },
			want:   scnet.ErrUnknownKey, code: "10009", hint: "new pair",
		},
		"foreign key": {
			change: func(c *scnet.Config) { c.AccessKey = scnet.NewSecret(other.AccessKey) },
			want:   scnet.ErrForeignKey, code: "10009", hint: "different accounts",
		},
		"wrong clock": {
			change: func(c *scnet.Config) { c.Now = func() time.Time { return time.Now().Add(time.Hour) } },
			want:   scnet.ErrSignature, code: "10009", hint: "clock",
		},
		"vague": {
			quirks: simulator.Quirks{VagueTokenErrors: true}, change: func(c *scnet.Config) { c.User = "demo-old" },
			want: scnet.ErrLogin, code: "10009", hint: "SCNET_USER",
		},
		"refused with a status": {
			quirks: simulator.Quirks{ErrorStatus: true}, change: func(c *scnet.Config) { c.User = "demo-old" },
			want: scnet.ErrUnknownUser, code: "10009", hint: "renamed",
		},
		"10008": {fault: simulator.Fault{Code: "10008"}, want: scnet.ErrLogin, code: "10008", hint: "SCNET_USER"},
		"10008 as HTTP 401": {
			fault: simulator.Fault{Code: "10008", Status: 401}, want: scnet.ErrLogin, code: "10008", hint: "SCNET_USER",
		},
		"frozen": {fault: simulator.Fault{Code: "10007"}, want: scnet.ErrFrozen, code: "10007", hint: "support"},
		"HTML":   {fault: simulator.Fault{HTML: true, Status: 200}, want: scnet.ErrMalformed, hint: "login page"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := start(t, simulator.Options{Quirks: c.quirks, OtherAccounts: []simulator.Account{other}})
			if c.fault != (simulator.Fault{}) {
				c.fault.Endpoint = simulator.EndpointToken
				sim.Inject(c.fault)
			}
			if c.change == nil {
				c.change = func(*scnet.Config) {}
			}
			_, err := newClient(t, sim, c.change).Regions(t.Context())
			e := asError(t, err)
			if !errors.Is(err, c.want) || e.Code != c.code || e.Delivery != upstream.Answered || e.Retryable || e.Uncertain {
				t.Errorf("err = %+v, want %v with code %q", e, c.want, c.code)
			}
			if !strings.Contains(e.Hint.English, c.hint) || !strings.HasSuffix(e.Endpoint, "/api/user/v3/tokens") {
				t.Errorf("hint %q, endpoint %q; want a hint with %q", e.Hint.English, e.Endpoint, c.hint)
			}
			if e.Code == "10009" && e.Meaning != (upstream.Text{English: "verification failed", Chinese: "校验失败"}) {
				t.Errorf("gloss = %+v", e.Meaning)
			}
			wantSent(t, sim, simulator.EndpointToken, 1)
		})
	}
}

func TestLoginDuringAnOutageDoesNotBlameTheKeys(t *testing.T) {
	t.Parallel()
	sim := start(t, simulator.Options{})
	sim.Inject(simulator.Fault{Endpoint: simulator.EndpointToken, Code: "10001"})
	_, err := newClient(t, sim).Regions(t.Context())
	if e := asError(t, err); errors.Is(err, scnet.ErrLogin) || !e.Retryable || strings.Contains(e.Hint.English, "SCNET_USER") {
		t.Errorf("err = %v, retryable %v, hint %q", err, e.Retryable, e.Hint.English)
	}
}

func TestWrongClockIsMeasured(t *testing.T) {
	t.Parallel()
	sim := start(t, simulator.Options{})
	client := newClient(t, sim, func(c *scnet.Config) { c.Now = func() time.Time { return time.Now().Add(3 * time.Hour) } })
	if _, known := client.ClockSkew(); known {
		t.Error("a skew is known before any answer")
	}
	if err := client.MeasureClock(t.Context()); err != nil {
		t.Fatal(err)
	}
	if skew, known := client.ClockSkew(); !known || (skew+3*time.Hour).Abs() > 3*time.Second {
		t.Errorf("skew = %s, %v", skew, known)
	}
	for _, r := range sim.Requests() {
		if r.Method != http.MethodHead {
			t.Errorf("the clock was measured with %+v", r)
		}
	}
}

func TestMeasureClockWithoutService(t *testing.T) {
	t.Parallel()
	client, err := scnet.New(scnet.Config{Token: scnet.NewSecret("t"), AIURL: "http://127.0.0.1:1/ai"})
	if err != nil {
		t.Fatal(err)
	}
	err = client.MeasureClock(t.Context())
	if e := asError(t, err); e.Delivery != upstream.NotSent || !e.Retryable {
		t.Errorf("err = %+v", e)
	}
}

func TestSuspendedRegion(t *testing.T) {
	t.Parallel()
	for name, form := range map[string]simulator.SuspendedToken{
		"null": simulator.SuspendedNull, "missing": simulator.SuspendedMissing, "empty": simulator.SuspendedEmpty,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := start(t, simulator.Options{
				Quirks:  simulator.Quirks{SuspendedToken: form},
				Regions: []simulator.Region{home(), {ID: owing, Name: "西北一区【西安】", Suspended: true}},
			})
			client := newClient(t, sim)
			regions, err := client.Regions(t.Context())
			if err != nil || len(regions) != 2 || regions[0].Suspended || !regions[1].Suspended {
				t.Fatalf("regions = %v, %v", regions, err)
			}
			for _, selector := range []string{owing, "西北一区【西安】", "西安"} {
				_, err := client.Region(t.Context(), selector)
				if !errors.Is(err, scnet.ErrSuspended) || !strings.Contains(err.Error(), "西北一区【西安】 (30000)") {
					t.Errorf("Region(%q): %v", selector, err)
				}
			}
			if r := pick(t, client, ""); r.ID != kunshan {
				t.Errorf("Region() = %s", r)
			}
			_, err = regions[1].List(t.Context(), firstPage) // a caller that ignores Suspended
			if e := asError(t, err); !errors.Is(err, scnet.ErrSuspended) || !strings.Contains(e.Hint.English, "top up") {
				t.Errorf("List: %v", err)
			}
		})
	}
	t.Run("with a token", func(t *testing.T) {
		t.Parallel()
		_, r := open(t, simulator.Options{
			Quirks:  simulator.Quirks{SuspendedToken: simulator.SuspendedDisabled},
			Regions: []simulator.Region{{ID: owing, Name: "西安", Suspended: true}},
		})
		_, err := r.List(t.Context(), firstPage)
		if e := asError(t, err); !errors.Is(err, scnet.ErrFrozen) || e.Code != "10007" {
			t.Errorf("List: %v", err)
		}
	})
	t.Run("only region", func(t *testing.T) {
		t.Parallel()
		sim := start(t, simulator.Options{Regions: []simulator.Region{{ID: owing, Name: "西安", Suspended: true}}})
		if _, err := newClient(t, sim).Region(t.Context(), ""); !errors.Is(err, scnet.ErrSuspended) {
			t.Errorf("err = %v", err)
		}
	})
}

// faked runs test on a fake clock that the simulator and its client share.
func faked(t *testing.T, o simulator.Options, test func(t *testing.T, sim *simulator.Simulator, now func() time.Time)) {
	synctest.Test(t, func(t *testing.T) {
		if o.Regions == nil {
			o.Regions = []simulator.Region{home()}
		}
		test(t, simulator.New(o), time.Now)
	})
}

func list(t *testing.T, r *scnet.Region) {
	t.Helper()
	if _, err := r.List(t.Context(), firstPage); err != nil {
		t.Fatal(err)
	}
}

func TestOneLoginServesUntilShortlyBeforeExpiry(t *testing.T) {
	t.Parallel()
	faked(t, simulator.Options{TokenLifetime: 2 * time.Hour}, func(t *testing.T, sim *simulator.Simulator, now func() time.Time) {
		r := pick(t, newClient(t, sim, inside(sim, now)), "")
		for range 11 {
			list(t, r)
			<-time.After(10 * time.Minute)
		}
		wantSent(t, sim, simulator.EndpointToken, 1)
		<-time.After(6 * time.Minute) // 1:56 of 2:00
		list(t, r)
		wantSent(t, sim, simulator.EndpointToken, 2)
		wantSent(t, sim, simulator.EndpointCenter, 1)
		for _, request := range sent(sim, simulator.EndpointList) {
			if request.Code != "0" {
				t.Errorf("an expired token was sent: %+v", request)
			}
		}
	})
}

func TestLocalClockHoursOffKeepsTokens(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"ahead": 20 * time.Hour, "behind": -20 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			faked(t, simulator.Options{}, func(t *testing.T, sim *simulator.Simulator, now func() time.Time) {
				wrong := func() time.Time { return now().Add(off) }
				r := pick(t, newClient(t, sim, inside(sim, wrong), withToken(sim, sim.Token(kunshan)), func(c *scnet.Config) {
					c.AIURL = sim.RegionURL(kunshan)
				}), "")
				for range 3 {
					list(t, r)
				}
				if got := len(sent(sim, simulator.EndpointRenew)); off < 0 && got != 0 || got > 1 {
					t.Errorf("renewed %d times", got)
				}
				wantSent(t, sim, simulator.EndpointList, 3)
			})
		})
	}
}

func TestLoginWithAClockHoursOff(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"ahead": 20 * time.Hour, "behind": -20 * time.Hour} {
		for form, token := range map[string]string{
			"opaque": "opaque", "12 hours": "", // as the simulator issues them
		} {
			t.Run(name+" "+form, func(t *testing.T) {
				faked(t, simulator.Options{}, func(t *testing.T, sim *simulator.Simulator, now func() time.Time) {
					logins := 0
					client := newClient(t, sim, inside(sim, func() time.Time { return now().Add(off) }), func(c *scnet.Config) {
						c.Transport = fakecloudtest.RoundTrip(func(r *http.Request) (*http.Response, error) {
							issued := token
							if issued == "" {
								issued = sim.Token(kunshan)
							}
							resp := fakecloudtest.Answer(200, `{"code":"0","data":{"aiUrls":[{"url":"https://region.example"}]}}`)
							switch {
							case strings.HasSuffix(r.URL.Path, "/user/v3/tokens"):
								logins++
								resp = fakecloudtest.Answer(200, `{"code":"0","data":[{"clusterId":11250,"clusterName":"昆山","token":"`+issued+`"}]}`)
							case strings.HasSuffix(r.URL.Path, "/task"):
								resp = fakecloudtest.Answer(200, `{"code":"0","data":[]}`)
							}
							resp.Header.Set("Date", now().UTC().Format(http.TimeFormat))
							return resp, nil
						})
					})
					r := pick(t, client, "")
					for range 5 {
						list(t, r)
						<-time.After(time.Minute)
					}
					if logins != 1 {
						t.Errorf("%d logins", logins)
					}
				})
			})
		}
	}
}

func TestConcurrentCallsShareOneLogin(t *testing.T) {
	t.Parallel()
	sim := start(t, simulator.Options{})
	sim.Inject(simulator.Fault{Endpoint: simulator.EndpointToken, Latency: 20 * time.Millisecond})
	client := newClient(t, sim)
	together := func(call func() error) {
		t.Helper()
		var wait sync.WaitGroup
		for range 16 {
			wait.Go(func() {
				if err := call(); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
	}
	together(func() error {
		r, err := client.Region(t.Context(), "")
		if err == nil {
			_, err = r.Detail(t.Context(), running)
		}
		return err
	})
	wantSent(t, sim, simulator.EndpointToken, 1)

	// All sixteen hold the same token when it dies.
	r := pick(t, client, "")
	sim.Inject(simulator.Fault{Endpoint: simulator.EndpointDetail, Own: simulator.OwnFault{ExpireToken: true}, Times: 1})
	together(func() error {
		_, err := r.Detail(t.Context(), running)
		return err
	})
	wantSent(t, sim, simulator.EndpointToken, 2)
}

func TestRefusedTokenIsReplacedOnceForReads(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		for name, fault := range map[string]simulator.Fault{
			"10008":        {Own: simulator.OwnFault{ExpireToken: true}},
			"10008 as int": {Code: "10008", Own: simulator.OwnFault{CodeAsInt: true}},
			"401":          {Status: 401, HTML: true},
		} {
			t.Run(op.name+" "+name, func(t *testing.T) {
				t.Parallel()
				sim, r := open(t, simulator.Options{})
				fault.Endpoint, fault.Times = op.endpoint, 1
				sim.Inject(fault)
				err := op.run(t.Context(), r)
				if !op.write {
					if err != nil {
						t.Errorf("read: %v", err)
					}
					wantSent(t, sim, op.endpoint, 2)
					wantSent(t, sim, simulator.EndpointToken, 2)
					return
				}
				if e := asError(t, err); !errors.Is(err, scnet.ErrTokenRefused) || e.Uncertain {
					t.Errorf("write: %+v", e)
				}
				wantSent(t, sim, op.endpoint, 1)
				if err := op.run(t.Context(), r); err != nil { // the caller's own second try has a new token
					t.Errorf("second write: %v", err)
				}
				wantSent(t, sim, simulator.EndpointToken, 2)
			})
		}
		t.Run(op.name+" for good", func(t *testing.T) {
			t.Parallel()
			sim, r := open(t, simulator.Options{})
			sim.Inject(simulator.Fault{Endpoint: op.endpoint, Code: "10008"})
			err := op.run(t.Context(), r)
			if e := asError(t, err); !errors.Is(err, scnet.ErrTokenRefused) || e.Code != "10008" || e.Uncertain {
				t.Errorf("err = %+v", e)
			}
			want := 2
			if op.write {
				want = 1
			}
			wantSent(t, sim, op.endpoint, want)
			wantSent(t, sim, simulator.EndpointToken, want)
		})
	}
}

func TestCenterWithAnExpiredToken(t *testing.T) {
	t.Parallel()
	sim, r := open(t, simulator.Options{})
	sim.Inject(simulator.Fault{Endpoint: simulator.EndpointCenter, Own: simulator.OwnFault{ExpireToken: true}, Times: 1})
	list(t, r)
	wantSent(t, sim, simulator.EndpointCenter, 2)
	wantSent(t, sim, simulator.EndpointToken, 2)
}

func TestStaticTokenIsRenewed(t *testing.T) {
	t.Parallel()
	for name, form := range map[string]simulator.RenewData{
		"array": simulator.RenewArray, "string": simulator.RenewString, "object": simulator.RenewObject,
	} {
		for age, expired := range map[string]time.Duration{
			"expired": time.Minute, "expired for 23 hours": 23 * time.Hour,
		} {
			t.Run(name+" "+age, func(t *testing.T) {
				t.Parallel()
				sim := start(t, simulator.Options{Quirks: simulator.Quirks{RenewData: form}})
				old := sim.TokenExpiring(kunshan, time.Now().Add(-expired))
				wire := &fakecloudtest.Spy{}
				r := pick(t, newClient(t, sim, func(c *scnet.Config) { c.Transport = wire }, withToken(sim, old)), "")
				for range 3 {
					list(t, r)
				}
				if err := r.Delete(t.Context(), stopped); err != nil {
					t.Error(err)
				}
				wantSent(t, sim, simulator.EndpointRenew, 1)
				if last, _ := wire.Last(); last.Header.Get("Token") == old {
					t.Error("the old token is still in use")
				}
				if r.ID != kunshan {
					t.Errorf("region %s, want the one of the token's claims", r)
				}
			})
		}
	}
}

func TestStaticTokenBeyondRenewal(t *testing.T) {
	t.Parallel()
	sim := start(t, simulator.Options{})
	token := sim.TokenExpiring(kunshan, time.Now().Add(-49*time.Hour))
	r := pick(t, newClient(t, sim, withToken(sim, token)), "")
	for _, op := range operations {
		err := op.run(t.Context(), r)
		e := asError(t, err)
		if !errors.Is(err, scnet.ErrTokenExpired) || e.Delivery != upstream.NotSent || e.Uncertain || !strings.Contains(err.Error(), "2 days ago") {
			t.Errorf("%s: %v", op.name, err)
		}
		if !strings.Contains(e.Hint.English, "new token") {
			t.Errorf("hint = %q", e.Hint.English)
		}
	}
	for _, request := range sim.Requests() {
		if request.Method != http.MethodHead { // that one asks for the time and carries no token
			t.Errorf("sent %+v", request)
		}
	}
}

func TestStaticTokenThatCannotBeRenewed(t *testing.T) {
	t.Parallel()
	t.Run("still valid", func(t *testing.T) {
		t.Parallel()
		faked(t, simulator.Options{TokenLifetime: time.Hour}, func(t *testing.T, sim *simulator.Simulator, now func() time.Time) {
			r := pick(t, newClient(t, sim, inside(sim, now), withToken(sim, sim.Token(kunshan)), func(c *scnet.Config) {
				c.AIURL = sim.RegionURL(kunshan)
			}), "")
			list(t, r)
			<-time.After(55*time.Minute + time.Second)
			sim.Inject(simulator.Fault{Endpoint: simulator.EndpointRenew, Code: "10001"})
			var log bytes.Buffer
			ctx := zerolog.New(&log).WithContext(t.Context())
			for range 10 {
				if _, err := r.List(ctx, firstPage); err != nil {
					t.Error(err)
				}
			}
			wantSent(t, sim, simulator.EndpointRenew, 1) // not once for every call
			if !strings.Contains(log.String(), "could not be renewed") {
				t.Errorf("log = %s", log.String())
			}
			sim.ClearFaults()
			<-time.After(5*time.Minute + time.Second) // it has expired by now, and the next try is due
			list(t, r)
			wantSent(t, sim, simulator.EndpointRenew, 2)
		})
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		sim := start(t, simulator.Options{})
		sim.Inject(simulator.Fault{Endpoint: simulator.EndpointRenew, Code: "10008"})
		r := pick(t, newClient(t, sim, withToken(sim, sim.TokenExpiring(kunshan, time.Now().Add(-150*time.Minute)))), "")
		if _, err := r.List(t.Context(), firstPage); !errors.Is(err, scnet.ErrTokenExpired) || !strings.Contains(err.Error(), "2 hours ago") {
			t.Errorf("err = %v", err)
		}
		wantSent(t, sim, simulator.EndpointList, 0)
	})
	for name, fault := range map[string]simulator.Fault{"no token in the answer": {Code: "0"}, "garbage": {HTML: true, Status: 200}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := start(t, simulator.Options{})
			fault.Endpoint = simulator.EndpointRenew
			sim.Inject(fault)
			r := pick(t, newClient(t, sim, withToken(sim, sim.TokenExpiring(kunshan, time.Now().Add(-time.Hour)))), "")
			if _, err := r.List(t.Context(), firstPage); !errors.Is(err, scnet.ErrTokenRefused) {
				t.Errorf("err = %v", err)
			}
		})
	}
	t.Run("unknown to the service", func(t *testing.T) {
		t.Parallel()
		sim := start(t, simulator.Options{})
		r := pick(t, newClient(t, sim, withToken(sim, "made-up")), "")
		if _, err := r.List(t.Context(), firstPage); !errors.Is(err, scnet.ErrTokenRefused) {
			t.Errorf("err = %v", err)
		}
		wantSent(t, sim, simulator.EndpointList, 2)
		wantSent(t, sim, simulator.EndpointRenew, 1)
	})
}

func TestStaticTokenExpiresMidway(t *testing.T) {
	t.Parallel()
	sim := start(t, simulator.Options{})
	r := pick(t, newClient(t, sim, withToken(sim, sim.Token(kunshan))), "")
	sim.Inject(simulator.Fault{Endpoint: simulator.EndpointList, Own: simulator.OwnFault{ExpireToken: true}, Times: 1})
	list(t, r)
	wantSent(t, sim, simulator.EndpointRenew, 1)
	wantSent(t, sim, simulator.EndpointList, 2)
}

func TestOneWaiterLeaves(t *testing.T) {
	t.Parallel()
	faked(t, simulator.Options{}, func(t *testing.T, sim *simulator.Simulator, now func() time.Time) {
		sim.Inject(simulator.Fault{Endpoint: simulator.EndpointToken, Latency: 5 * time.Second})
		client := newClient(t, sim, inside(sim, now))
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wait sync.WaitGroup
		wait.Go(func() { // the first one starts the login that the others wait for
			began := time.Now()
			_, err := client.Regions(impatient)
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
				t.Errorf("err = %v after %s", err, time.Since(began))
			}
			if e := (*scnet.Error)(nil); !errors.As(err, &e) || e.Delivery != upstream.NotSent || e.Uncertain {
				t.Errorf("err = %+v", err)
			}
		})
		synctest.Wait()
		for range 3 {
			wait.Go(func() {
				if _, err := client.Regions(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		wantSent(t, sim, simulator.EndpointToken, 1)
	})
}

func TestLoginThatHangs(t *testing.T) {
	t.Parallel()
	faked(t, simulator.Options{}, func(t *testing.T, sim *simulator.Simulator, now func() time.Time) {
		sim.Inject(simulator.Fault{Endpoint: simulator.EndpointToken, HangAfter: true})
		began := time.Now()
		_, err := newClient(t, sim, inside(sim, now)).Regions(t.Context())
		if e := asError(t, err); e.Delivery != upstream.Unknown || !e.Retryable || time.Since(began) > 30*time.Second {
			t.Errorf("err = %+v after %s", e, time.Since(began))
		}
		if errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v passes for the caller's own deadline", err)
		}
	})
}

func TestToppedUpRegionIsSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		paid := false
		region := home()
		account := func() *simulator.Simulator {
			region.Suspended = !paid
			return simulator.New(simulator.Options{Regions: []simulator.Region{region}})
		}
		client := newClient(t, account(), func(c *scnet.Config) {
			c.LoginURL, c.PlatformURL = "https://scnet.test", "https://scnet.test"
			c.Transport = fakecloudtest.RoundTrip(func(r *http.Request) (*http.Response, error) { return account().Transport().RoundTrip(r) })
		})
		for range 5 {
			if _, err := client.Region(t.Context(), ""); !errors.Is(err, scnet.ErrSuspended) {
				t.Fatal(err)
			}
		}
		paid = true
		<-time.After(time.Minute)
		if _, err := client.Region(t.Context(), ""); err != nil {
			t.Errorf("after the top-up: %v", err)
		}
	})
}
