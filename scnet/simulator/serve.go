package simulator

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// maxBody bounds what is read of a request. The service's own limit is not known.
const maxBody = 16 << 20

// host is one listener: the platform (token and platform hosts together), or one region.
type host struct {
	sim    *Simulator
	region *region // nil on the platform
	routes []route
	url    string // guarded by sim.mu
	prefix string // of the paths, which routes do not have
	second *host  // the second back end of a region's file service; nil on the platform and on a second one
}

// secondBackEnd is where the second back end of the file service is, below a region's address.
const secondBackEnd = "/second"

type exchange = fakecloud.Exchange[Endpoint, OwnFault]

// call is one request on its way through an operation. Operations run with sim.mu held.
type call struct {
	sim     *Simulator
	region  *region // nil on the platform
	now     time.Time
	quirks  Quirks
	claims  claims // of the token, on container endpoints
	request *http.Request
	header  http.Header
	query   url.Values
	body    []byte
	id      string // from the path
	backEnd string // of the file service
	after   func() // what is to be done once the simulator is unlocked; nil for nothing
}

// ServeHTTP implements http.Handler.
func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.second != nil && strings.HasPrefix(r.URL.Path, secondBackEnd+"/efile/") {
		http.StripPrefix(secondBackEnd, h.second).ServeHTTP(w, r)
		return
	}
	s := h.sim
	fakecloud.Serve(w, r, s.now(), maxBody, func(body []byte) exchange {
		rt, parameters, status := fakecloud.Find(h.routes, r)
		entry := Request{
			Region: h.regionOf(r.Header), Method: r.Method, Path: h.prefix + r.URL.Path, Query: r.URL.RawQuery,
			Body: fakecloud.Excerpt(body),
		}
		record := func(a fakecloud.Answer) {
			entry.Time, entry.Code, entry.Status = s.now(), a.Code, a.Written()
			s.journal.Add(entry)
		}
		if rt == nil {
			return exchange{Record: record, Work: func() fakecloud.Answer { return h.unknown(r, status) }}
		}
		entry.Endpoint = rt.Name
		f := s.faults.Next(rt.Name, func(own OwnFault) bool { return own.Region == "" || own.Region == entry.Region })
		return exchange{
			Fault:  f,
			Fail:   func() (fakecloud.Answer, bool) { return h.fail(f, r.Header) },
			Work:   func() fakecloud.Answer { return h.work(rt, parameters["id"], r, body) },
			Record: record,
		}
	})
}

// unknown answers what no route is for.
func (h *host) unknown(r *http.Request, status int) fakecloud.Answer {
	if h.region != nil && strings.HasPrefix(r.URL.Path, "/efile/") {
		return fail(codeNoRoute).jsonAnswer(http.StatusOK, false, false)
	}
	return fakecloud.Page(status)
}

// work runs an operation and encodes its reply.
func (h *host) work(rt *route, id string, r *http.Request, body []byte) fakecloud.Answer {
	s := h.sim
	now := s.now()
	query, badQuery := url.ParseQuery(r.URL.RawQuery)

	s.mu.Lock()
	c := &call{
		sim: s, region: h.region, now: now, quirks: s.quirks,
		request: r, header: r.Header, query: query, body: body, id: id, backEnd: h.prefix,
	}
	if h.region != nil {
		h.region.deal(now, s.timing)
	}
	var out reply
	switch {
	case h.region != nil && h.region.NoContainer && strings.HasPrefix(rt.Path, "/ai/"):
		out = page(http.StatusNotFound)
	case len(body) > maxBody:
		out = fail(codeTooLarge)
	case badQuery != nil:
		out = fail(codeInvalid)
	default:
		if out = c.authorize(); out.code == "" {
			out = rt.Do(c)
		}
	}
	s.mu.Unlock()
	if c.after != nil {
		c.after()
	}
	return out.encode(c.quirks)
}

// authorize checks the token of a container call. On the platform every operation does this for itself.
func (c *call) authorize() reply {
	if c.region == nil {
		return reply{}
	}
	t, ok := c.sim.valid(c.header.Get("token"), c.now)
	if !ok || t.ClusterID != c.region.ID {
		return fail(codeForbidden)
	}
	if c.quirks.FrozenUser || t.AccountStatus == statusDisabled {
		return fail(codeFrozen)
	}
	c.claims = t
	return reply{}
}

// regionOf tells which region a request is about, for the journal and for faults.
func (h *host) regionOf(header http.Header) string {
	if h.region != nil {
		return h.region.ID
	}
	t, _ := decodeClaims(header.Get("token"))
	if t.ClusterID == platformID {
		return ""
	}
	return t.ClusterID
}
