package simulator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// plan is one random rollout.
type plan struct {
	desktops, scripts []string
	count             int
	ids               []string
	threshold         int
	fails             map[string]bool // "desktop script"
}

func randomPlan(r *rand.Rand) plan {
	p := plan{fails: map[string]bool{}}
	for i := range 1 + r.IntN(8) {
		p.desktops = append(p.desktops, fmt.Sprint("d", i))
	}
	r.Shuffle(len(p.desktops), func(i, j int) { p.desktops[i], p.desktops[j] = p.desktops[j], p.desktops[i] })
	p.scripts = []string{"100", "101", "102"}[:1+r.IntN(3)]
	size := 0
	if r.IntN(3) > 0 {
		p.ids = slices.Clone(p.desktops[:r.IntN(len(p.desktops)+1)])
		r.Shuffle(len(p.ids), func(i, j int) { p.ids[i], p.ids[j] = p.ids[j], p.ids[i] })
		size = len(p.ids)
	}
	if r.IntN(2) > 0 {
		p.count = r.IntN(len(p.desktops) + 2)
		if p.count > 0 {
			size = p.count
		}
	}
	if size > 1 && r.IntN(4) > 0 {
		p.threshold = 1 + r.IntN(size-1)
	}
	for _, d := range p.desktops {
		for _, s := range p.scripts {
			p.fails[d+" "+s] = r.IntN(3) == 0
		}
	}
	return p
}

// model says, without any notion of time, which desktops are in the gray batch and what becomes of each record.
func (p plan) model() (gray []string, fate map[string]string) {
	switch {
	case p.count > len(p.desktops):
		gray = p.desktops
	case p.count > 0:
		gray = p.desktops[:p.count]
	default:
		gray = p.ids
	}
	broken := 0
	for _, d := range gray {
		if slices.ContainsFunc(p.scripts, func(s string) bool { return p.fails[d+" "+s] }) {
			broken++
		}
	}
	fate = map[string]string{}
	for _, d := range p.desktops {
		for _, s := range p.scripts {
			switch {
			case !slices.Contains(gray, d) && p.threshold > 0 && broken >= p.threshold:
				fate[d+" "+s] = StateSkipped
			case p.fails[d+" "+s]:
				fate[d+" "+s] = StateFailed
			default:
				fate[d+" "+s] = StateSuccess
			}
		}
	}
	return gray, fate
}

func (p plan) body() map[string]any {
	b := map[string]any{"resource_ids": p.desktops, "script_ids": p.scripts}
	if p.count > 0 {
		b["gray_count"] = p.count
	}
	if p.ids != nil {
		b["gray_resource_ids"] = p.ids
	}
	if p.threshold > 0 {
		b["gray_fail_threshold"] = p.threshold
	}
	return b
}

func TestGrayAgainstModel(t *testing.T) {
	l := open(t, fleet(8))
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 1))
		p := randomPlan(r)
		for key, fails := range p.fails {
			var d, s string
			if _, err := fmt.Sscan(key, &d, &s); err != nil {
				t.Fatal(err)
			}
			o := Outcome{Duration: time.Duration(1+r.IntN(9)) * time.Second}
			if fails {
				o.Kind = Fail
			}
			l.SetOutcome(d, s, o)
		}
		gray, fate := p.model()
		id := l.execute(p.body())
		l.follow(id, len(fate))
		if t.Failed() {
			t.Fatalf("seed %d: %+v", seed, p)
		}
		task := l.task(id)
		count := map[string]int{}
		for _, f := range fate {
			count[f]++
		}
		eq(t, "numbers", fmt.Sprint(task.SuccessNum, task.FailedNum, task.SkipNum), fmt.Sprint(count[StateSuccess], count[StateFailed], count[StateSkipped]))
		eq(t, "gray_resource_ids", task.GrayResourceIDs, append([]string{}, gray...))
		l.compare(id, gray, fate)
		if t.Failed() {
			t.Fatalf("seed %d: %+v", seed, p)
		}
	}
}

// follow lets the time pass until a task has ended, and checks on the way what must hold at any time.
func (l *lab) follow(id string, total int) {
	l.t.Helper()
	eq(l.t, "status at first", l.task(id).Status, StateInit)
	done := 0
	for range 200 {
		task := l.task(id)
		sum := task.SuccessNum + task.FailedNum + task.SkipNum
		if sum < done || sum > total || (sum == total) != (task.EndTime != nil) {
			l.t.Fatalf("after %d of %d: %+v", done, total, task)
		}
		if done = sum; sum == total {
			return
		}
		l.clock.Advance(time.Second)
	}
	l.t.Fatal("the task does not end")
}

// compare checks the records of a task that has ended.
func (l *lab) compare(id string, gray []string, fate map[string]string) {
	l.t.Helper()
	var grayEnd, restStart time.Time
	got := map[string]string{}
	for _, rec := range l.Records(id) {
		got[rec.DesktopID+" "+rec.ScriptID] = rec.Status
		want := orderPlain
		if len(gray) > 0 {
			want = orderRest
		}
		if slices.Contains(gray, rec.DesktopID) {
			want = orderGray
		}
		eq(l.t, "execute_order", rec.ExecuteOrder, want)
		if want == orderGray && rec.End.After(grayEnd) {
			grayEnd = rec.End
		}
		if want == orderRest && (restStart.IsZero() || rec.Start.Before(restStart)) {
			restStart = rec.Start
		}
	}
	eq(l.t, "records", got, fate)
	if len(gray) > 0 && !restStart.IsZero() && !restStart.Equal(grayEnd) {
		l.t.Errorf("the rest starts at %v, the gray batch ends at %v", restStart, grayEnd)
	}
	first := l.records("is_first_order=true&script_task_id=" + id)
	for _, rec := range first {
		eq(l.t, "is_first_order", rec.ExecuteOrder, orderGray)
	}
	rest := l.records("is_first_order=false&script_task_id=" + id)
	eq(l.t, "records by is_first_order", len(first)+len(rest), len(fate))
}

func TestThresholdReading(t *testing.T) {
	for _, c := range []struct {
		byRecord bool
		skipped  int
	}{{false, 0}, {true, 2}} {
		o := fleet(4)
		o.Quirks.ThresholdByRecord = c.byRecord
		o.Desktops[0].Outcome = Outcome{Kind: Fail}
		l := open(t, o)
		id := l.execute(map[string]any{
			"resource_ids": []string{"d0", "d1", "d2", "d3"}, "script_ids": []string{"100", "101"},
			"gray_count": 3, "gray_fail_threshold": 2,
		})
		l.clock.Advance(time.Minute)
		eq(t, fmt.Sprint("skipped, by record ", c.byRecord), l.task(id).SkipNum, c.skipped)
	}
}

func TestGrayOutsiders(t *testing.T) {
	o := fleet(3)
	l := open(t, o)
	body := map[string]any{"resource_ids": []string{"d0", "d1"}, "script_ids": []string{"100"}, "gray_resource_ids": []string{"d2"}}
	body["resource_type"] = "DESKTOP"
	l.do("POST", "script-executions", string(fakecloud.EncodeJSON(body))).wantError(t, 400, codeParameter)
	l.SetQuirks(Quirks{GrayOutsiders: true})
	id := l.execute(body)
	l.clock.Advance(time.Minute)
	got := l.Records(id)
	eq(t, "records", len(got), 3)
	eq(t, "first", fmt.Sprintf("%s %d", got[0].DesktopID, got[0].ExecuteOrder), "d2 1")
	l.SetQuirks(Quirks{})
	body["gray_count"] = 1 // makes the ids irrelevant
	l.execute(body)
}
