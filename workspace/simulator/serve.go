package simulator

import (
	"net/http"
	"net/url"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

type exchange = fakecloud.Exchange[Operation, struct{}]

// call is one request on its way through an operation. Operations run with sim.mu held.
type call struct {
	sim    *Simulator
	now    time.Time
	quirks Quirks
	query  query
	body   []byte
	id     string // from the path
}

// ServeHTTP implements http.Handler.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fakecloud.Serve(w, r, s.now(), maxBody, func(body []byte) exchange {
		rt, parameters, status := fakecloud.Find(routes, r)
		sender, _ := parseAuthorization(r.Header.Get("Authorization"))
		s.mu.Lock()
		id := s.newID()
		s.mu.Unlock()
		w.Header().Set("X-Request-Id", id)
		entry := Request{
			AccessKey: sender.access, Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery,
			Body: fakecloud.Excerpt(body), RequestID: id,
		}
		record := func(a fakecloud.Answer) {
			entry.Time, entry.Code, entry.Status = s.now(), a.Code, a.Written()
			s.journal.Add(entry)
		}
		if rt == nil {
			return exchange{Record: record, Work: func() fakecloud.Answer { return s.unknown(status, id) }}
		}
		entry.Operation = rt.Name
		if ofIAM(rt.Name) {
			w.Header().Set("X-IAM-Trace-Id", id)
		}
		f := s.faults.Next(rt.Name, nil)
		return exchange{
			Fault:  f,
			Fail:   func() (fakecloud.Answer, bool) { return failWith(f, rt.Name, id) },
			Work:   func() fakecloud.Answer { return s.work(rt, parameters, r, body, id) },
			Record: record,
		}
	})
}

// unknown answers what no operation is for.
func (s *Simulator) unknown(status int, requestID string) fakecloud.Answer {
	s.mu.Lock()
	gateway := s.quirks.MethodsAtGateway
	s.mu.Unlock()
	if status == http.StatusMethodNotAllowed && !gateway {
		return fail(codeMethod, "").encode("", requestID)
	}
	return fail(codeNoAPI, "").encode("", requestID)
}

// work runs an operation and encodes its reply.
func (s *Simulator) work(
	rt *route, parameters map[string]string, r *http.Request, body []byte, requestID string,
) fakecloud.Answer {
	now := s.now()
	values, badQuery := url.ParseQuery(r.URL.RawQuery)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &call{sim: s, now: now, quirks: s.quirks, query: query{values: values}, body: body, id: parameters["id"]}
	var out reply
	switch {
	case len(body) > maxBody:
		out = fail(codeRequest, "Request entity too large")
		out.status = http.StatusRequestEntityTooLarge
	case badQuery != nil:
		out = fail(codeRequest, "")
	default:
		if rt.Name != OpCreateToken {
			if out = s.authenticate(r, body, now); out.code != "" {
				break
			}
		}
		if p, ok := parameters["project_id"]; ok && p != s.ProjectID() {
			out = fail(codeForbidden, "")
			break
		}
		out = rt.Do(c)
	}
	return out.encode(rt.Name, requestID)
}
