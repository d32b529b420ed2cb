package simulator

import (
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// maxBody bounds what is read of a request. The service's own limit is not
// known.
const maxBody = 16 << 20

// host is one listener: the platform (token and platform hosts together), or
// one region.
type host struct {
	sim    *Simulator
	region *region // nil on the platform
	routes []route
	url    string // guarded by sim.mu
}

// call is one request on its way through an operation. Operations run with
// sim.mu held.
type call struct {
	sim    *Simulator
	region *region // nil on the platform
	now    time.Time
	quirks Quirks
	claims claims // of the token, on container endpoints
	header http.Header
	query  url.Values
	body   []byte
	id     string // from the path
}

// ServeHTTP implements http.Handler.
func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Clients compare this with their clock; net/http would tell the time of
	// this machine instead of the simulator's.
	w.Header().Set("Date", h.sim.now().UTC().Format(http.TimeFormat))
	// The body is read to its end even when it is too large to be taken:
	// only then does net/http notice a client that goes away, which the
	// faults that hold an answer back depend on.
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
	if err != nil {
		fakecloud.Drop(w)
		return
	}
	rt, id, status := find(h.routes, r.Method, r.URL.EscapedPath())
	entry := Request{
		Region: h.regionOf(r.Header),
		Method: r.Method,
		Path:   r.URL.Path,
		Query:  r.URL.RawQuery,
		Body:   string(body[:min(len(body), journalBody)]),
	}
	var f Fault
	if rt != nil {
		entry.Endpoint = rt.endpoint
		f = h.sim.fault(rt.endpoint, entry.Region)
	}
	if f.Latency > 0 && !fakecloud.Sleep(r.Context(), f.Latency) {
		h.send(w, entry, answer{cut: true})
		return
	}
	a, done := h.instead(f, r.Header)
	switch {
	case done:
	case rt == nil:
		a = htmlAnswer(status)
	default:
		a = h.work(rt, id, r, body)
		a.pad = f.Huge
		if f.Truncate {
			a.body = a.body[:len(a.body)/2]
		}
		a.cut = f.ResetAfter || f.HangAfter
	}
	if f.HangAfter && !done {
		h.record(entry, a)
		<-r.Context().Done()
		fakecloud.Drop(w)
		return
	}
	h.send(w, entry, a)
}

// work runs an operation and encodes its reply.
func (h *host) work(rt *route, id string, r *http.Request, body []byte) answer {
	s := h.sim
	now := s.now()
	query, badQuery := url.ParseQuery(r.URL.RawQuery)

	s.mu.Lock()
	c := &call{
		sim: s, region: h.region, now: now, quirks: s.quirks,
		header: r.Header, query: query, body: body, id: id,
	}
	var out reply
	switch {
	case h.region != nil && h.region.NoContainer:
		out = page(http.StatusNotFound)
	case len(body) > maxBody:
		out = fail(codeTooLarge)
	case badQuery != nil:
		out = fail(codeInvalid)
	default:
		if out = c.authorize(); out.code == "" {
			out = rt.do(c)
		}
	}
	s.mu.Unlock()
	return out.encode(c.quirks)
}

// authorize checks the token of a container call. On the platform every
// operation does this for itself.
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

// regionOf tells which region a request is about, for the journal and for
// faults.
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

// record adds a request to the journal.
func (h *host) record(entry Request, a answer) {
	entry.Time = h.sim.now()
	entry.Code = a.code
	entry.Status = a.status
	if a.cut {
		entry.Status = 0
	}
	h.sim.mu.Lock()
	defer h.sim.mu.Unlock()
	h.sim.journal.add(entry)
}

// send records a request and writes its answer.
func (h *host) send(w http.ResponseWriter, entry Request, a answer) {
	h.record(entry, a)
	if a.cut {
		fakecloud.Drop(w)
		return
	}
	a.write(w)
}
