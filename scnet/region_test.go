package scnet_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

func fourRegions() []simulator.Region {
	return []simulator.Region{
		home(),
		{ID: wuzhen, Name: "华东三区【乌镇】"},
		{ID: zhengzhou, Name: "华中一区【A区】", NoContainer: true},
		{ID: owing, Name: "西北一区【西安】", Suspended: true},
	}
}

func TestPickRegion(t *testing.T) {
	t.Parallel()
	sim := start(t, simulator.Options{Regions: fourRegions(), Quirks: simulator.Quirks{ClusterIDNumber: true}})
	for name, c := range map[string]struct {
		configured, selector string
		want                 string   // id
		words                []string // of the error
	}{
		"id":                       {"", wuzhen, wuzhen, nil},
		"name":                     {"", "华东三区【乌镇】", wuzhen, nil},
		"part":                     {"", "昆山", kunshan, nil},
		"part in another case":     {"", "【a区】", zhengzhou, nil},
		"configured id":            {wuzhen, "", wuzhen, nil},
		"configured part":          {"乌镇", "", wuzhen, nil},
		"selector beats default":   {wuzhen, kunshan, kunshan, nil},
		"none chosen":              {"", "", "", []string{"several regions", "华东一区【昆山】 (11250)", "华东三区【乌镇】 (20057)", "华中一区【A区】 (20091)"}},
		"ambiguous":                {"", "华东", "", []string{"fits several", "华东一区【昆山】 (11250), 华东三区【乌镇】 (20057)"}},
		"unknown":                  {"", "上海", "", []string{"no region has the id or name \"上海\"", "华东一区【昆山】 (11250)"}},
		"unknown default":          {"99999", "", "", []string{"\"99999\""}},
		"part of an id":            {"", "112", "", []string{"no region"}},
		"platform id":              {"", "0", "", []string{"platform", "11250"}},
		"platform name":            {"", "ac", "", []string{"platform", "11250"}},
		"suspended":                {"", "西安", "", []string{"suspended in 西北一区【西安】 (30000)"}},
		"control characters shown": {"", "a\x1b[31m", "", []string{"\"a\uFFFD[31m\""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, sim, func(cfg *scnet.Config) { cfg.Region = c.configured })
			r, err := client.Region(t.Context(), c.selector)
			if c.want != "" {
				if err != nil || r.ID != c.want {
					t.Errorf("Region(%q) = %v, %v; want %s", c.selector, r, err, c.want)
				}
				return
			}
			var e *scnet.RegionError
			if !errors.As(err, &e) {
				t.Fatalf("err = %v (%T)", err, err)
			}
			for _, word := range c.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q is not in %q", word, err)
				}
			}
			if strings.Contains(strings.Split(err.Error(), "Usable regions")[1], "30000") {
				t.Errorf("a suspended region is offered: %v", err)
			}
		})
	}
}

func TestSameNameTwice(t *testing.T) {
	t.Parallel()
	sim := start(t, simulator.Options{Regions: []simulator.Region{{ID: "1", Name: "A"}, {ID: "2", Name: "A"}, {ID: "A", Name: "B"}}})
	client := newClient(t, sim)
	if r := pick(t, client, "A"); r.ID != "A" {
		t.Errorf("a name beats an id: %s", r)
	}
	sim = start(t, simulator.Options{Regions: []simulator.Region{{ID: "1", Name: "A"}, {ID: "2", Name: "A"}}})
	if _, err := newClient(t, sim).Region(t.Context(), "A"); err == nil || !strings.Contains(err.Error(), "fits several") {
		t.Errorf("err = %v", err)
	}
}

func TestAccountWithoutRegions(t *testing.T) {
	t.Parallel()
	sim := start(t, simulator.Options{Regions: []simulator.Region{}})
	for _, selector := range []string{"", kunshan} {
		_, err := newClient(t, sim).Region(t.Context(), selector)
		var e *scnet.RegionError
		if !errors.As(err, &e) || !strings.Contains(err.Error(), "no usable region") {
			t.Errorf("Region(%q): %v", selector, err)
		}
	}
}

func TestRegionFromToken(t *testing.T) {
	t.Parallel()
	sim := start(t, simulator.Options{Regions: fourRegions()})
	client := newClient(t, sim, withToken(sim, sim.Token(kunshan)))
	if r := pick(t, client, ""); r.ID != kunshan || r.String() != kunshan {
		t.Errorf("region = %s", r)
	}
	if r := pick(t, client, kunshan); r.ID != kunshan {
		t.Errorf("region = %s", r)
	}
	if _, err := client.Region(t.Context(), wuzhen); err == nil || !strings.Contains(err.Error(), kunshan) {
		t.Errorf("err = %v", err)
	}
	if len(sim.Requests()) != 0 {
		t.Errorf("sent %+v", sim.Requests())
	}
	// Of an opaque token nothing is known but what was configured.
	for configured, want := range map[string]string{"": "default", "昆山": "昆山"} {
		client := newClient(t, sim, withToken(sim, "opaque"), func(c *scnet.Config) { c.Region = configured })
		if r := pick(t, client, ""); r.ID != want {
			t.Errorf("region = %s, want %s", r, want)
		}
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		quirks simulator.Quirks
		want   error
	}{
		"bare":               {simulator.Quirks{}, nil},
		"with /ai":           {simulator.Quirks{URLsWithService: true}, nil},
		"array":              {simulator.Quirks{CenterArray: true}, nil},
		"array, id a string": {simulator.Quirks{CenterArray: true, CenterIDString: true}, nil},
		"enable a bool":      {simulator.Quirks{Enable: simulator.EnableBool}, nil},
		"enable missing":     {simulator.Quirks{Enable: simulator.EnableMissing}, nil},
		"enable \"false\"":   {simulator.Quirks{Enable: simulator.EnableFalseString}, scnet.ErrNoAddress},
		"enable false":       {simulator.Quirks{Enable: simulator.EnableFalseBool}, scnet.ErrNoAddress},
		"decoy":              {simulator.Quirks{AIURLDecoy: true}, nil},
		"decoy, others off":  {simulator.Quirks{AIURLDecoy: true, Enable: simulator.EnableFalseBool}, scnet.ErrNoAddress},
		"empty":              {simulator.Quirks{AIURLs: simulator.AIURLsEmpty}, scnet.ErrNoContainers},
		"null":               {simulator.Quirks{AIURLs: simulator.AIURLsNull}, scnet.ErrNoContainers},
		"code 200 and ints":  {simulator.Quirks{Success200: true, CodeAsInt: true, ClusterIDNumber: true}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim, r := open(t, simulator.Options{Quirks: c.quirks})
			address, err := r.Address(t.Context())
			if c.want == nil {
				if err != nil || address != sim.RegionURL(kunshan) {
					t.Fatalf("Address = %q, %v", address, err)
				}
				list(t, r)
				wantSent(t, sim, simulator.EndpointCenter, 1)
				return
			}
			e := asError(t, err)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), "昆山") || e.Hint.English == "" {
				t.Errorf("err = %v, hint %q; want %v", err, e.Hint.English, c.want)
			}
			for _, op := range operations {
				if err := op.run(t.Context(), r); !errors.Is(err, c.want) {
					t.Errorf("%s: %v", op.name, err)
				}
				wantSent(t, sim, op.endpoint, 0)
			}
		})
	}
}

func TestRegionWithoutContainers(t *testing.T) {
	t.Parallel()
	sim := start(t, simulator.Options{Regions: fourRegions()})
	r := pick(t, newClient(t, sim), zhengzhou)
	for _, op := range operations {
		err := op.run(t.Context(), r)
		e := asError(t, err)
		if !errors.Is(err, scnet.ErrNoContainers) || e.Status != 404 || e.Uncertain || !strings.Contains(e.Hint.English, "another region") {
			t.Errorf("%s: %+v", op.name, e)
		}
	}
	if err := operations[0].run(t.Context(), pick(t, newClient(t, sim), kunshan)); err != nil {
		t.Errorf("the region next to it: %v", err)
	}
}

// centerAnswers opens the region of a simulator whose center endpoint answers data.
func centerAnswers(t *testing.T, data string) *scnet.Region {
	t.Helper()
	sim := start(t, simulator.Options{})
	real := &http.Transport{}
	t.Cleanup(real.CloseIdleConnections)
	return pick(t, newClient(t, sim, func(c *scnet.Config) {
		c.Transport = fakecloudtest.RoundTrip(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/center") {
				return fakecloudtest.Answer(200, `{"code":"0","msg":"success","data":`+data+`}`), nil
			}
			return real.RoundTrip(r)
		})
	}), "")
}

func TestCenterAnswers(t *testing.T) {
	t.Parallel()
	const entry = `{"url":"https://ai.example:65011/ai","enable":"true"}`
	for name, c := range map[string]struct {
		data string
		want string
		err  error
	}{
		"several regions":          {`[{"id":1,"aiUrls":[{"url":"https://other.example"}]},{"id":11250,"aiUrls":[` + entry + `]}]`, "https://ai.example:65011", nil},
		"several, none of them it": {`[{"id":1,"aiUrls":[` + entry + `]},{"id":2,"aiUrls":[` + entry + `]}]`, "", scnet.ErrMalformed},
		"one without an id":        {`[{"aiUrls":[` + entry + `]}]`, "https://ai.example:65011", nil},
		"plain http":               {`{"aiUrls":[{"url":"http://10.0.35.26:65011/ai","enable":"true"}]}`, "", scnet.ErrNoAddress},
		"plain http beside https":  {`{"aiUrls":[{"url":"http://10.0.35.26/ai"},` + entry + `]}`, "https://ai.example:65011", nil},
		"placeholder":              {`{"aiUrls":[{"url":"{hpcUrls}/ai","enable":"true"}]}`, "", scnet.ErrNoAddress},
		"empty url":                {`{"aiUrls":[{"url":"","enable":"true"}]}`, "", scnet.ErrNoAddress},
		"enable null":              {`{"aiUrls":[{"url":"https://ai.example:65011","enable":null}]}`, "https://ai.example:65011", nil},
		"enable 1":                 {`{"aiUrls":[{"url":"https://ai.example:65011","enable":1}]}`, "https://ai.example:65011", nil},
		"enable empty":             {`{"aiUrls":[{"url":"https://ai.example:65011","enable":""}]}`, "", scnet.ErrNoAddress},
		"aiUrls a string":          {`{"aiUrls":"https://ai.example:65011"}`, "https://ai.example:65011", nil},
		"aiUrls two in a string":   {`{"aiUrls":"https://ai.example:65011/ai, https://other.example"}`, "https://ai.example:65011", nil},
		"aiUrls an empty string":   {`{"aiUrls":""}`, "", scnet.ErrNoContainers},
		"aiUrls an object":         {`{"aiUrls":{"url":"https://ai.example:65011/ai","enable":"true"}}`, "https://ai.example:65011", nil},
		"aiUrls an object, off":    {`{"aiUrls":{"url":"https://ai.example:65011/ai","enable":"false"}}`, "", scnet.ErrNoAddress},
		"aiUrls strings":           {`{"aiUrls":["https://ai.example:65011/ai"]}`, "https://ai.example:65011", nil},
		"aiUrls a list of lists":   {`{"aiUrls":[["https://ai.example:65011/ai"]]}`, "", scnet.ErrNoContainers},
		"one URL in another shape": {`{"aiUrls":["{x}",7,{"url":"https://ai.example:65011"}]}`, "https://ai.example:65011", nil},
		"null entry":               {`{"aiUrls":[null,` + entry + `]}`, "https://ai.example:65011", nil},
		"string":                   {`"internal_error"`, "", scnet.ErrMalformed},
		"null":                     {`null`, "", scnet.ErrMalformed},
		"empty array":              {`[]`, "", scnet.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := centerAnswers(t, c.data).Address(t.Context())
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("Address = %q, %v; want %q, %v", got, err, c.want, c.err)
			}
		})
	}
}

func TestPlatformRefuses(t *testing.T) {
	t.Parallel()
	sim, r := open(t, simulator.Options{})
	sim.Inject(simulator.Fault{Endpoint: simulator.EndpointCenter, Code: "10001", Message: "internal_error"})
	_, err := r.Address(t.Context())
	if e := asError(t, err); e.Code != "10001" || e.Message != "internal_error" || !e.Retryable || !strings.HasSuffix(e.Endpoint, "/ac/openapi/v2/center") {
		t.Errorf("err = %+v", e)
	}
	sim.ClearFaults()
	if _, err := r.Address(t.Context()); err != nil { // a failure is not remembered
		t.Error(err)
	}
}

func TestStickyAddress(t *testing.T) {
	t.Parallel()
	const first, second = "ai1.example:1", "ai2.example:1"
	for _, op := range operations {
		faked(t, simulator.Options{}, func(t *testing.T, sim *simulator.Simulator, now func() time.Time) {
			t.Log(op.name)
			var hosts []string
			dead := ""
			lost := false // sent, but no answer
			r := pick(t, newClient(t, sim, inside(sim, now), func(c *scnet.Config) {
				c.Transport = fakecloudtest.RoundTrip(func(r *http.Request) (*http.Response, error) {
					switch {
					case strings.HasSuffix(r.URL.Path, "/center"):
						return fakecloudtest.Answer(200, `{"code":"0","data":{"aiUrls":[{"url":"https://`+first+`/ai"},{"url":"https://`+second+`"}]}}`), nil
					case strings.HasSuffix(r.URL.Path, "/tokens"):
						return sim.Transport().RoundTrip(r)
					}
					hosts = append(hosts, r.URL.Host)
					if r.URL.Host == dead {
						return nil, errors.New("connection refused")
					}
					if lost {
						fakecloudtest.Left(r)
						return nil, errors.New("connection reset by peer")
					}
					return fakecloudtest.Answer(200, `{"code":"0","data":`+dataFor(op)+`}`), nil
				})
			}), "")
			run := func(want ...string) error {
				t.Helper()
				hosts = nil
				err := op.run(t.Context(), r)
				if got := slices.Compact(slices.Clone(hosts)); !slices.Equal(got, want) {
					t.Errorf("asked %v, want %v", hosts, want)
				}
				if err == nil && dead == "" && len(hosts) != 1 {
					t.Errorf("sent %d times", len(hosts))
				}
				return err
			}
			for range 3 {
				if err := run(first); err != nil {
					t.Error(err)
				}
			}
			lost = true
			if e := asError(t, run(first)); e.Delivery != upstream.Unknown || e.Uncertain != op.write {
				t.Errorf("lost answer: %+v", e)
			}
			if op.write && len(hosts) != 1 {
				t.Errorf("a write went out %d times", len(hosts))
			}
			lost, dead = false, first
			if err := run(first, second); err != nil {
				t.Error(err)
			}
			dead = ""
			if err := run(second); err != nil { // it stays there
				t.Error(err)
			}
			dead = second
			if err := run(second, first); err != nil {
				t.Error(err)
			}
		})
	}
}
