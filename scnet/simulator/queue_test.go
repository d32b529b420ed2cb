package simulator

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
)

// crowded is a region with one group of four accelerators, on two nodes.
func crowded(t *testing.T, timing Timing, instances ...Instance) *lab {
	t.Helper()
	group := ResourceGroup{Name: "TeslaM40", AcceleratorType: "gpu", CPUNumber: 40, GPUNumber: 2, MemorySize: 31888, NodeNumber: 2}
	for i := range instances {
		instances[i].ResourceGroup, instances[i].AcceleratorType = group.Name, "gpu"
	}
	return open(t, Options{
		Timing: timing, Quirks: Quirks{CardsRunOut: true},
		Regions: []Region{{ID: kunshan, Groups: []ResourceGroup{group}, Instances: instances}},
	})
}

// statuses are those of all instances, oldest first.
func (l *lab) statuses() string {
	var words []string
	for _, in := range l.Instances(kunshan) {
		words = append(words, in.ID+" "+in.Status)
	}
	return strings.Join(words, ", ")
}

func TestQueue(t *testing.T) {
	l := crowded(t, Timing{Waiting: 10 * time.Second, Deploying: 5 * time.Second},
		Instance{ID: "a", Status: Running, GPUNumber: 2, TaskNumber: 1, CreateTime: fakecloudtest.Noon.Add(-3 * time.Hour), TimeLimit: 3*time.Hour + time.Minute},
		Instance{ID: "b", Status: Running, GPUNumber: 1, TaskNumber: 2, CreateTime: fakecloudtest.Noon.Add(-2 * time.Hour)},
		Instance{ID: "c", Status: Terminated, GPUNumber: 1, CreateTime: fakecloudtest.Noon.Add(-time.Hour)},
	)
	l.restart("c").want(t, "0")
	l.clock.Advance(20 * time.Second)
	eq(t, "all cards are taken", l.statuses(), "a Running, b Running, c Waiting")
	d := into[string](t, l.do(kunshan, "POST", task, createBody(map[string]any{"gpuNumber": 1, "taskNumber": 4})).want(t, "0"))
	e := into[string](t, l.do(kunshan, "POST", task, createBody(map[string]any{"gpuNumber": 1})).want(t, "0"))
	l.do(kunshan, "POST", task, createBody(map[string]any{"gpuNumber": 1, "taskNumber": 5})).want(t, "716865")

	l.clock.Advance(43 * time.Second) // a's time limit was three seconds ago
	eq(t, "first come, first served", l.statuses(), "a Terminated, b Running, c Deploying, "+d+" Waiting, "+e+" Waiting")
	l.clock.Advance(time.Hour)
	eq(t, "nobody overtakes", l.statuses(), "a Terminated, b Running, c Running, "+d+" Waiting, "+e+" Waiting")
	for _, in := range l.Instances(kunshan) {
		if in.ID == "c" {
			eq(t, "c runs since the cards were free", in.StartTime, fakecloudtest.Noon.Add(65*time.Second))
		}
	}
	l.do(kunshan, "DELETE", task+"?ids=b&ids=c", "").want(t, "0")
	eq(t, "when others are deleted", l.statuses(), "a Terminated, "+d+" Deploying, "+e+" Waiting")
	l.do(kunshan, "POST", actions+"stop?ids="+d, "").want(t, "0")
	eq(t, "when others are stopped", l.statuses(), "a Terminated, "+d+" Terminated, "+e+" Deploying")
	l.clock.Advance(time.Minute)
	eq(t, "in the end", l.statuses(), "a Terminated, "+d+" Terminated, "+e+" Running")
}

func TestStopTakesTime(t *testing.T) {
	l := crowded(t, Timing{Waiting: time.Second, Deploying: time.Second, Stopping: 30 * time.Second},
		Instance{ID: "a", Status: Running, GPUNumber: 2, TaskNumber: 2, CreateTime: fakecloudtest.Noon.Add(-time.Hour)},
		Instance{ID: "b", Status: Terminated, GPUNumber: 1, CreateTime: fakecloudtest.Noon.Add(-time.Minute)},
	)
	stop := func(id string) { l.do(kunshan, "POST", actions+"stop?ids="+id, "").want(t, "0") }
	l.restart("b").want(t, "0")
	stop("b")
	eq(t, "what waits stops at once", l.statuses(), "a Running, b Terminated")
	l.restart("b").want(t, "0")
	stop("a")
	l.clock.Advance(29 * time.Second)
	stop("a") // once more changes nothing
	eq(t, "the cards are still taken", l.statuses(), "a Stopping, b Waiting")
	l.restart("a").want(t, "716868")
	l.do(kunshan, "POST", actions+"execute-script", `{"id":"a","startScriptActionScope":"all","startScriptContent":"x"}`).want(t, "716870")
	l.do(kunshan, "POST", "instance-service/resource-spec/actions/update", `{"id":"a","cpuNumber":3,"gpuNumber":1,"ramSize":1024}`).want(t, "10004")
	eq(t, "updated", l.UpdateInstance(kunshan, "a", func(in *Instance) { in.Name = "n" }), true)
	l.clock.Advance(time.Second)
	eq(t, "stopped", l.statuses(), "a Terminated, b Deploying")
	in := l.Instances(kunshan)[0]
	eq(t, "end", in.EndTime, fakecloudtest.Noon.Add(30*time.Second))
	eq(t, "start", in.StartTime, fakecloudtest.Noon.Add(-time.Hour))
	l.do(kunshan, "POST", "instance-service/resource-spec/actions/update", `{"id":"a","cpuNumber":3,"gpuNumber":3,"ramSize":1024}`).want(t, "10004")
	l.do(kunshan, "POST", "instance-service/resource-spec/actions/update", `{"id":"a","cpuNumber":3,"gpuNumber":1,"ramSize":1024}`).want(t, "0")
	l.SetQuirks(Quirks{CardsRunOut: true, StatusWords: map[string]string{Stopping: "Terminating"}})
	l.clock.Advance(time.Minute)
	stop("b")
	if r := l.do(kunshan, "GET", "instance-service/b/detail", ""); !strings.Contains(r.raw, `"status":"Terminating"`) {
		t.Errorf("%s", r.raw)
	}
}

func TestCreateChecks(t *testing.T) {
	l := open(t, Options{Quirks: Quirks{CreateChecks: true}})
	image := DemoImages()[0]
	good := map[string]any{"imagePath": image.Path, "version": image.Name + ":" + image.Tag}
	with := func(name string, value any) string {
		change := map[string]any{name: value}
		for k, v := range good {
			if _, there := change[k]; !there {
				change[k] = v
			}
		}
		return createBody(change)
	}
	mount := func(source string) []Mount { return []Mount{{source, "/data", "path"}} }
	for _, c := range []struct {
		body, code string
	}{
		{createBody(good), "0"},
		{with("mountInfoList", mount("/public/home/demo")), "0"},
		{with("mountInfoList", mount("/public/home/demo/qwen")), "0"},
		{with("mountInfoList", mount("/public/home/demo2")), "716865"},
		{with("mountInfoList", mount("/etc")), "716865"},
		{with("imagePath", "10.0.35.26:5000/none:1"), "716865"},
		{with("imagePath", DemoImages()[1].Path), "716865"}, // for another accelerator
	} {
		l.do(kunshan, "POST", task, c.body).want(t, c.code)
	}
	l.SetQuirks(Quirks{})
	l.do(kunshan, "POST", task, createBody(map[string]any{"mountInfoList": mount("/etc")})).want(t, "0")
	cpu := map[string]any{"acceleratorType": "cpu", "resourceGroup": "cpu-share", "gpuNumber": 0}
	for limit, code := range map[string]string{"360:00:00": "0", "360:00:01": "716865", "unlimited": "716865"} {
		cpu["timeoutLimit"] = limit
		l.do(kunshan, "POST", task, createBody(cpu)).want(t, code)
	}
}

// TestNeverMoreThanThereAre does things at random, and looks at how many accelerators are occupied.
func TestNeverMoreThanThereAre(t *testing.T) {
	for seed := range uint64(20) {
		l := crowded(t, Timing{Waiting: 2 * time.Second, Deploying: 3 * time.Second, Stopping: 5 * time.Second})
		rng := rand.New(rand.NewPCG(seed, 1))
		for range 60 {
			all := l.Instances(kunshan)
			taken := 0
			for _, in := range all {
				if occupies(in.Status) {
					taken += in.accelerators()
				}
			}
			if taken > 4 {
				t.Fatalf("seed %d: %d accelerators are occupied: %s", seed, taken, l.statuses())
			}
			id := "none"
			if len(all) > 0 {
				id = all[rng.IntN(len(all))].ID
			}
			switch rng.IntN(6) {
			case 0, 1:
				l.do(kunshan, "POST", task, createBody(map[string]any{"gpuNumber": 1 + rng.IntN(2), "timeoutLimit": fmt.Sprintf("00:00:%02d", 10+rng.IntN(40))}))
			case 2:
				l.do(kunshan, "POST", actions+"stop?ids="+id, "")
			case 3:
				l.restart(id)
			case 4:
				l.do(kunshan, "DELETE", task+"?ids="+id, "")
			case 5:
				l.clock.Advance(time.Duration(rng.IntN(10)) * time.Second)
			}
		}
		l.clock.Advance(time.Hour) // all have a time limit, so that everybody has had a turn
		for _, in := range l.Instances(kunshan) {
			if in.Status != Terminated {
				t.Fatalf("seed %d: %s", seed, l.statuses())
			}
		}
	}
}

// TestOnAFakeClock reaches the simulator in a bubble, where waiting costs nothing.
func TestOnAFakeClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{
			Timing:  Timing{Waiting: 10 * time.Minute, Deploying: 2 * time.Minute, Stopping: time.Minute},
			Regions: []Region{{ID: kunshan, Instances: []Instance{{ID: "a"}}}},
		})
		wire := s.Transport()
		detail := func() string {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.RegionURL(kunshan)+servicePath+"/a/detail", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("token", s.Token(kunshan))
			resp, err := wire.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			var answer struct{ Data struct{ Status string } }
			if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
				t.Fatal(err)
			}
			return answer.Data.Status
		}
		for _, want := range []string{Waiting, Deploying, Running} {
			for detail() != want {
				<-time.After(30 * time.Second)
			}
		}
		if waited := s.now().Sub(s.Instances(kunshan)[0].CreateTime); waited != 12*time.Minute {
			t.Errorf("ran after %s", waited)
		}
	})
}
