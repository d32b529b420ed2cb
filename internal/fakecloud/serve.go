package fakecloud

import (
	"io"
	"net/http"
	"time"
)

// Exchange is one request as a simulator wants it to be handled.
type Exchange[Name ~string, Own any] struct {
	Fault Fault[Name, Own]
	// Fail is how the service itself fails by the simulator's fault, if that says so. It may be nil.
	Fail func() (Answer, bool)
	// Work runs the operation.
	Work func() Answer
	// Record puts the request into the journal. It is called once, before the answer leaves.
	Record func(Answer)
}

// Serve answers one request. It reads at most limit bytes of the body and one more, by which prepare can tell that there
// was more.
func Serve[Name ~string, Own any](
	w http.ResponseWriter, r *http.Request, now time.Time, limit int64, prepare func(body []byte) Exchange[Name, Own],
) {
	// Clients compare this with their clock; net/http would tell the time of this machine instead of the simulator's.
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	// The body is read to its end even when it is too large to be taken: only then does net/http notice a client that
	// goes away, which the faults that hold an answer back depend on.
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
	if err != nil {
		Drop(w)
		return
	}
	x := prepare(body)
	a, hang := x.answer(r)
	x.Record(a)
	if hang {
		<-r.Context().Done()
	}
	if a.cut {
		Drop(w)
		return
	}
	a.write(w)
}

// answer does what fault and operation say; hang is set if the answer is never to come.
func (x Exchange[Name, Own]) answer(r *http.Request) (a Answer, hang bool) {
	f := x.Fault
	if f.Latency > 0 && !Sleep(r.Context(), f.Latency) {
		return Answer{cut: true}, false
	}
	own := x.Fail
	if own == nil {
		own = func() (Answer, bool) { return Answer{}, false }
	}
	if a, done := f.instead(own); done {
		return a, false
	}
	a = x.Work()
	a.pad = f.Huge
	if f.Truncate {
		a.Body = a.Body[:len(a.Body)/2]
	}
	a.cut = f.ResetAfter || f.HangAfter
	return a, f.HangAfter
}
