package scnet

import (
	"testing"
	"time"
)

func TestSpans(t *testing.T) {
	start := time.Date(2026, 3, 4, 12, 0, 0, 0, ChinaTime)
	now := start.Add(90 * time.Minute)
	for name, c := range map[string]struct {
		in        Instance
		left, ran time.Duration // -1: not known
	}{
		"as the service words it": {Instance{Status: Running, Remaining: "13d 22h 5m", Duration: "1h 30m"}, 14*24*time.Hour - 115*time.Minute, 90 * time.Minute},
		"from start and limit":    {Instance{Status: Running, StartedAt: start, TimeLimit: "02:00:00"}, 30 * time.Minute, 90 * time.Minute},
		"beyond its limit":        {Instance{Status: Running, StartedAt: start, TimeLimit: "01:00:00"}, 0, 90 * time.Minute},
		"without a limit":         {Instance{Status: Running, StartedAt: start, TimeLimit: "unlimited"}, -1, 90 * time.Minute},
		"ended":                   {Instance{Status: Terminated, StartedAt: start, EndedAt: start.Add(time.Minute), TimeLimit: "02:00:00"}, -1, time.Minute},
		"never started":           {Instance{Status: Waiting, TimeLimit: "02:00:00"}, -1, -1},
		"what cannot be read":     {Instance{Status: Running, Remaining: "soon", Duration: " ", TimeLimit: "1:2"}, -1, -1},
	} {
		for what, got := range map[string]func() (time.Duration, bool){
			"left": func() (time.Duration, bool) { return c.in.Left(now) }, "ran": func() (time.Duration, bool) { return c.in.Ran(now) },
		} {
			want := map[string]time.Duration{"left": c.left, "ran": c.ran}[what]
			if d, known := got(); known != (want >= 0) || known && d != want {
				t.Errorf("%s: %s = %v, %v; want %v", name, what, d, known, want)
			}
		}
	}
}

func FuzzParseSpan(f *testing.F) {
	f.Add("14d 23h 48m")
	f.Add("--")
	f.Fuzz(func(t *testing.T, text string) {
		if d, known := parseSpan(text); d < 0 || !known && d != 0 {
			t.Errorf("%q is %v, %v", text, d, known)
		}
	})
}

// What is read is written in a form that means the same.
func FuzzParseTimeLimit(f *testing.F) {
	f.Add("360:00:00")
	f.Add(" Unlimited")
	f.Add("99999:59:59")
	f.Fuzz(func(t *testing.T, text string) {
		d, known := ParseTimeLimit(text)
		if !known {
			return
		}
		if again, ok := ParseTimeLimit(TimeLimit(d)); d < 0 || d > maxTimeLimit || !ok || again != d {
			t.Errorf("%q is %v, written %q, read as %v", text, d, TimeLimit(d), again)
		}
	})
}
