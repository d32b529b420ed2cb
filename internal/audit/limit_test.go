package audit

import (
	"testing"
	"time"
)

// TestFlood refuses a caller more often than anybody reads. What is not written one by one is counted, and nobody else's
// records are.
func TestFlood(t *testing.T) {
	const calls = 32_500
	path := place(t)
	now := epoch
	l := open(t, path, Options{Now: func() time.Time { return now }})
	add(t, l, call(0), call(1))
	for i := range calls {
		now = now.Add(5 * time.Millisecond)
		add(t, l, Record{Event: Refused, Caller: "reader", Tool: "delete_instances", Rule: "read-only"})
		if i%5000 == 0 {
			add(t, l, Record{Event: Previewed, Caller: "ops"}, Record{Event: Declined, Caller: "reader"})
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	written, counted, others := 0, 0, 0
	last := time.Time{}
	for r, err := range Records(path) {
		switch {
		case err != nil:
			t.Error(err)
		case r.Event == Refused && r.Caller == "reader":
			written++
		case r.Event == Summed:
			if r.Caller != "reader" || r.Sum.Event != Refused || r.Sum.First.Before(last) || r.Time.Before(r.Sum.First) {
				t.Errorf("%+v %+v", r, r.Sum)
			}
			counted, last = counted+r.Sum.Count, r.Time
		case r.Event == Previewed || r.Event == Declined:
			others++
		}
	}
	if written+counted != calls || written > 100 || others != 14 {
		t.Errorf("%d written, %d counted, %d of others", written, counted, others)
	}
	sound(t, path, 3)
	for _, r := range checkAll(t, path) {
		if r.Problem != nil || r.Tail != TailComplete {
			t.Errorf("%+v", r)
		}
	}
}

// TestFloodOfNames must not fill the memory.
func TestFloodOfNames(t *testing.T) {
	var f flood
	at := epoch
	for i := range 3 * floodCallers {
		f.admit(Record{Event: Refused, Caller: string(rune('一' + i)), Time: at})
	}
	if len(f.of) > floodCallers+1 {
		t.Errorf("%d callers are remembered", len(f.of))
	}
	if sums := f.all(); len(sums) != 1 || sums[0].Caller != "" || sums[0].Sum.Count != 2*floodCallers-floodBurst {
		t.Errorf("%+v", sums)
	}
	at = at.Add(floodBurst * floodPause)
	if !f.admit(Record{Event: Refused, Caller: "new", Time: at}) || len(f.of) > 2 {
		t.Errorf("%d callers are remembered for ever", len(f.of))
	}
}
