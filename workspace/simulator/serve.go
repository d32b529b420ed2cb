package simulator

import (
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// call is one request on its way through an operation. Operations run with
// sim.mu held.
type call struct {
	sim    *Simulator
	now    time.Time
	quirks Quirks
	query  query
	body   []byte
	id     string // from the path
}

func (s *Simulator) serve(w http.ResponseWriter, r *http.Request) {
	// Clients compare this with their clock; net/http would tell the time of
	// this machine instead of the simulator's.
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	// The body is read to its end even when it is too large to be taken: only
	// then does net/http notice a client that goes away, which the faults that
	// hold an answer back depend on.
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
	if err != nil {
		fakecloud.Drop(w)
		return
	}
	rt, parameters, served := find(r.Method, r.URL.EscapedPath())
	sender, _ := parseAuthorization(r.Header.Get("Authorization"))
	s.mu.Lock()
	entry := Request{
		AccessKey: sender.access, Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery,
		Body: string(body[:min(len(body), journalBody)]), RequestID: s.newID(),
	}
	refuseMethods := s.quirks.RefuseMethods
	s.mu.Unlock()
	w.Header().Set("X-Request-Id", entry.RequestID)
	var f Fault
	if rt != nil {
		entry.Operation = rt.op
		f = s.fault(rt.op)
	}
	if entry.Operation == OpListProjects {
		w.Header().Set("X-IAM-Trace-Id", entry.RequestID)
	}
	if f.Latency > 0 && !fakecloud.Sleep(r.Context(), f.Latency) {
		s.send(w, entry, answer{cut: true})
		return
	}
	a, done := f.instead(entry.Operation, entry.RequestID)
	switch {
	case done:
	case rt == nil && served && refuseMethods:
		a = fail(codeMethod, "").encode("", entry.RequestID)
	case rt == nil:
		a = fail(codeNoAPI, "").encode("", entry.RequestID)
	default:
		a = s.work(rt, parameters, r, body, entry.RequestID)
		a.pad = f.Huge
		if f.Truncate {
			a.body = a.body[:len(a.body)/2]
		}
		a.cut = f.ResetAfter || f.HangAfter
	}
	if f.HangAfter && !done {
		s.note(entry, a)
		<-r.Context().Done()
		fakecloud.Drop(w)
		return
	}
	s.send(w, entry, a)
}

// work runs an operation and encodes its reply.
func (s *Simulator) work(rt *route, parameters map[string]string, r *http.Request, body []byte, requestID string) answer {
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
		if out = s.authenticate(r, body, now); out.code != "" {
			break
		}
		if p, ok := parameters["project_id"]; ok && p != s.ProjectID() {
			out = fail(codeForbidden, "")
			break
		}
		out = rt.do(c)
	}
	return out.encode(rt.op, requestID)
}

// note adds a request to the journal.
func (s *Simulator) note(entry Request, a answer) {
	entry.Time = s.now()
	entry.Code = a.code
	entry.Status = a.status
	if a.cut {
		entry.Status = 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.journal.add(entry)
}

// send records a request and writes its answer.
func (s *Simulator) send(w http.ResponseWriter, entry Request, a answer) {
	s.note(entry, a)
	if a.cut {
		fakecloud.Drop(w)
		return
	}
	a.write(w)
}
