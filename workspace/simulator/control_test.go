package simulator

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// fates writes the records of a task as one letter each.
func (l *lab) fates(id string) string {
	var b strings.Builder
	for _, rec := range l.Records(id) {
		if !rec.Replaced {
			b.WriteString(rec.Status[:2] + " ")
		}
	}
	return b.String()
}

func (l *lab) stop(body string) {
	l.t.Helper()
	r := l.do("POST", "script-executions/stop", body).want(l.t, 200)
	eq(l.t, "body of stop", r.raw, "")
}

func TestStopTask(t *testing.T) {
	o := fleet(4)
	for i := range o.Desktops {
		o.Desktops[i].Outcome.Duration = time.Duration(i+1) * 10 * time.Second
	}
	for _, c := range []struct {
		after time.Duration
		fates string
		state string
	}{
		{0, "SK SK SK SK SK SK SK SK ", StateFailed},
		{12 * time.Second, "SU FA FA SK SK SK SK SK ", StateFinish}, // d0: 1–11 s, then again
		{25 * time.Second, "SU SU SU FA SK SK SK SK ", StateFinish},
		{41 * time.Second, "SU SU SU SU SK SK SK SK ", StateFinish}, // the gray batch ends at 41 s
		{42 * time.Second, "SU SU SU SU FA SK FA SK ", StateFinish},
		{time.Hour, "SU SU SU SU SU SU SU SU ", StateFinish},
	} {
		l := open(t, o)
		id := l.execute(map[string]any{"resource_ids": []string{"d0", "d1", "d2", "d3"}, "script_ids": []string{"100", "101"}, "gray_count": 2})
		l.clock.Advance(c.after)
		l.stop(`{"task_id":"` + id + `"}`)
		task := l.task(id)
		eq(t, c.after.String(), l.fates(id), c.fates)
		eq(t, c.after.String(), task.Status, c.state)
		eq(t, "sum", task.SuccessNum+task.FailedNum+task.SkipNum, 8)
		if task.EndTime == nil {
			t.Error("the task has no end")
		}
		l.clock.Advance(time.Hour)
		l.stop(`{"task_id":"` + id + `"}`)
		eq(t, "later", l.fates(id), c.fates)
	}
}

func TestStopRecord(t *testing.T) {
	o := fleet(3)
	o.Desktops[0].Outcome = Outcome{Kind: Hang, Output: "begun"}
	o.Desktops[1].Outcome.Kind = Fail
	l := open(t, o)
	id := l.execute(map[string]any{
		"resource_ids": []string{"d0", "d1", "d2"}, "script_ids": []string{"100"}, "gray_count": 2, "execution_timeout": 600,
	})
	l.clock.Advance(10 * time.Second)
	eq(t, "before", l.fates(id), "RU FA IN ")
	hanging := l.Records(id)[0].ID
	l.stop(`{"record_id":"` + hanging + `"}`)
	eq(t, "after", l.fates(id), "FA FA RU ")
	j := into[recordJSON](t, l.do("GET", "script-execution-records/"+hanging, ""))
	eq(t, "record", j.Reason+*j.Output, reasonStopped)
	l.clock.Advance(10 * time.Second)
	eq(t, "end", l.fates(id), "FA FA SU ")
}

// A stop changes nothing that had happened before it, whenever it comes.
func TestStopKeepsThePast(t *testing.T) {
	l := open(t, fleet(8))
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 2))
		p := randomPlan(r)
		for _, d := range p.desktops {
			for _, s := range p.scripts {
				o := Outcome{Duration: time.Duration(r.IntN(9)) * time.Second}
				if p.fails[d+" "+s] {
					o.Kind = Fail
				}
				l.SetOutcome(d, s, o)
			}
		}
		id := l.execute(p.body())
		for range 3 {
			l.clock.Advance(time.Duration(r.IntN(8000)) * time.Millisecond)
			before, now := l.Records(id), l.clock.Now()
			if r.IntN(3) == 0 {
				l.stop(`{"task_id":"` + id + `"}`)
				eq(t, "sum", l.task(id).SuccessNum+l.task(id).FailedNum+l.task(id).SkipNum, len(before))
			} else {
				l.stop(`{"record_id":"` + before[r.IntN(len(before))].ID + `"}`)
			}
			for i, rec := range l.Records(id) {
				if !before[i].End.After(now) && rec != before[i] || rec.Start.Before(now) && !rec.Start.Equal(before[i].Start) {
					t.Fatalf("seed %d: %+v became %+v at %v", seed, before[i], rec, now)
				}
			}
		}
		l.clock.Advance(time.Hour)
		eq(t, "sum", l.task(id).SuccessNum+l.task(id).FailedNum+l.task(id).SkipNum, len(p.fails))
	}
}

func TestRetryAsNewTask(t *testing.T) {
	o := fleet(4)
	o.Desktops[0].Outcome.Kind = Fail
	l := open(t, o)
	l.SetOutcome("d1", "101", Outcome{Kind: Fail})
	id := l.execute(map[string]any{
		"resource_ids": []string{"d0", "d1", "d2", "d3"}, "script_ids": []string{"100", "101"}, "gray_count": 3, "gray_fail_threshold": 2,
	})
	retry := func(body string) string {
		return into[map[string]string](t, l.do("POST", "script-executions/retry", body).want(t, 200))["task_id"]
	}
	l.do("POST", "script-executions/retry", `{"task_id":"`+id+`"}`).wantError(t, 400, codeParameter)
	l.clock.Advance(time.Minute)
	eq(t, "first", l.fates(id)+l.task(id).Status, "FA FA SU FA SU SU SK SK FAILED")

	l.SetOutcome("d0", "", Outcome{})
	next := retry(`{"task_id":"` + id + `"}`)
	eq(t, "at once", l.fates(next), "IN IN IN IN IN ")
	l.clock.Advance(time.Minute)
	eq(t, "second", l.fates(next)+l.task(next).Status, "SU SU FA SU SU FINISH")
	eq(t, "order", l.Records(next)[4].ExecuteOrder, orderPlain)
	eq(t, "the first task", l.fates(id), "FA FA SU FA SU SU SK SK ")
	eq(t, "resources", l.task(next).ResourceIDs, []string{"d0", "d1", "d3"})

	l.SetOutcome("d1", "101", Outcome{})
	third := retry(`{"record_id":"` + l.Records(next)[2].ID + `"}`)
	l.clock.Advance(time.Minute)
	eq(t, "third", l.fates(third), "SU ")
	for _, body := range []string{`{"task_id":"` + third + `"}`, `{"record_id":"` + l.Records(third)[0].ID + `"}`} {
		l.do("POST", "script-executions/retry", body).wantError(t, 400, codeParameter)
	}
	if next == id || third == next {
		t.Error("the ids are not new")
	}
}

func TestRetryInSameTask(t *testing.T) {
	o := fleet(2)
	o.Quirks.RetrySameTask = true
	o.Desktops[0].Outcome.Kind = Fail
	l := open(t, o)
	id := l.execute(map[string]any{"resource_ids": []string{"d0", "d1"}, "script_ids": []string{"100"}})
	l.clock.Advance(time.Minute)
	l.SetOutcome("d0", "", Outcome{})
	r := l.do("POST", "script-executions/retry", `{"task_id":"`+id+`"}`).want(t, 200)
	eq(t, "task_id", into[map[string]string](t, r)["task_id"], id)
	task := l.task(id)
	eq(t, "under way", fmt.Sprint(task.Status, task.SuccessNum, task.FailedNum, task.EndTime == nil), "INIT1 0 true")
	l.clock.Advance(time.Minute)
	eq(t, "at the end", l.fates(id)+l.task(id).Status, "SU SU FINISH")
	eq(t, "without history", len(l.records("resource_id=d0&script_id=100")), 1)
	eq(t, "with history", len(l.records("resource_id=d0&script_id=100&show_history=true")), 2)
	l.do("GET", "script-execution-records?show_history=true&script_id=100", "").wantError(t, 400, codeParameter)
	l.do("GET", "script-execution-records?show_history=true&resource_id=d0", "").wantError(t, 400, codeParameter)
}

func TestControlRefusals(t *testing.T) {
	l := open(t, fleet(1))
	for _, path := range []string{"script-executions/stop", "script-executions/retry"} {
		for _, body := range []string{
			"", "{}", `{"task_id":""}`, `{"task_id":"a","record_id":"b"}`, `{"task_id":1}`,
			`{"task_id":"` + strings.Repeat("x", 256) + `"}`, `{"record_id":"` + strings.Repeat("x", 256) + `"}`,
		} {
			l.do("POST", path, body).wantError(t, 400, codeParameter)
		}
		l.do("POST", path, `{"task_id":"x"}`).wantError(t, 404, codeMissing)
		l.do("POST", path, `{"record_id":"x"}`).wantError(t, 404, codeMissing)
	}
}

// What takes no time has ended when it begins.
func TestStopAtTheVeryMoment(t *testing.T) {
	o := fleet(1)
	o.Desktops[0].Outcome.Duration = -1
	l := open(t, o)
	id := l.execute(map[string]any{"resource_ids": []string{"d0"}, "script_ids": []string{"100"}})
	l.clock.Advance(time.Second)
	l.stop(`{"task_id":"` + id + `"}`)
	eq(t, "record", l.fates(id), "SU ")
}
