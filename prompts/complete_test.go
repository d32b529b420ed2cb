package prompts_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/prompts"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// account is a simulated account with a library over it.
type account struct {
	*prompts.Library
	sim *simulator.Simulator
	now time.Time
}

func newAccount(t *testing.T, regions ...simulator.Region) *account {
	t.Helper()
	sim := simulator.New(simulator.Options{Regions: regions})
	demo := simulator.DemoAccount()
	client, err := scnet.New(scnet.Config{
		User: demo.User, AccessKey: scnet.NewSecret(demo.AccessKey), SecretKey: scnet.NewSecret(demo.SecretKey),
		LoginURL: sim.URL(), PlatformURL: sim.URL(), Transport: sim.Transport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	a := &account{sim: sim, now: time.Now()}
	a.Library = &prompts.Library{SCNet: client, Now: func() time.Time { return a.now }}
	return a
}

// lists counts the lists that the service was asked for.
func (a *account) lists() (n int) {
	for _, r := range a.sim.Requests() {
		if r.Endpoint == simulator.EndpointList {
			n++
		}
	}
	return n
}

func id(n int) string { return fmt.Sprintf("%032x", n) }

func twoRegions() []simulator.Region {
	return []simulator.Region{
		{ID: "11250", Name: "华东一区【昆山】", Instances: []simulator.Instance{
			{ID: id(0xa1), Name: "训练-7b", Status: simulator.Running},
			{ID: id(0xa2), Name: "bert-eval", Status: simulator.Terminated},
			{ID: id(0xa3), Name: "evil\u202ename", Status: simulator.Running},
		}},
		{ID: "20057", Name: "华东三区【乌镇】", Instances: []simulator.Instance{
			{ID: id(0xb1), Name: "bert-eval", Status: simulator.Running},
			{ID: id(0xb2), Name: "Bert-Train", Status: simulator.Waiting},
		}},
	}
}

func TestComplete(t *testing.T) {
	instance, template := prompts.Reference{Prompt: "why_not_running"}, prompts.Reference{Template: "scnet://instances/{id}"}
	for _, c := range []struct {
		of     prompts.Reference
		typed  prompts.Typed
		values []string
	}{
		{instance, prompts.Typed{Argument: "instance", Value: "训"}, []string{"训练-7b"}},
		{instance, prompts.Typed{Argument: "instance", Value: " BERT-t "}, []string{"Bert-Train"}},
		{instance, prompts.Typed{Argument: "instance", Value: "bert-e"}, []string{id(0xa2), id(0xb1)}}, // a name that two bear
		{instance, prompts.Typed{Argument: "instance", Value: id(0xb2)[:31]}, []string{id(0xb1), "Bert-Train"}},
		{instance, prompts.Typed{Argument: "instance", Value: id(0xb2)}, []string{"Bert-Train"}},
		{instance, prompts.Typed{Argument: "instance", Value: "bert", Others: map[string]string{"region": "乌镇"}}, []string{"bert-eval", "Bert-Train"}},
		{instance, prompts.Typed{Argument: "instance", Value: "nothing"}, nil},
		{instance, prompts.Typed{Argument: "region", Value: ""}, []string{"华东一区【昆山】", "华东三区【乌镇】"}},
		{instance, prompts.Typed{Argument: "region", Value: "2005"}, []string{"华东三区【乌镇】"}},
		{prompts.Reference{Prompt: "clean_up"}, prompts.Typed{Argument: "name", Value: "eval"}, []string{"bert-eval"}},
		{prompts.Reference{Prompt: "rollout_script"}, prompts.Typed{Argument: "task", Value: "x"}, nil},
		{template, prompts.Typed{Argument: "id", Value: "train"}, []string{id(0xb2)}},
		{template, prompts.Typed{Argument: "id", Value: ""}, []string{id(0xa1), id(0xa2), id(0xa3), id(0xb1), id(0xb2)}},
	} {
		got, err := newAccount(t, twoRegions()...).Complete(t.Context(), caller(catalogue(false)), c.of, c.typed)
		slices.Sort(got.Values)
		slices.Sort(c.values)
		if err != nil || !slices.Equal(got.Values, c.values) || got.More {
			t.Errorf("%+v %+v: %+v, %v, want %q", c.of, c.typed, got, err, c.values)
		}
	}
}

// What a name shows is not what it is: then the id stands for the instance.
func TestCompleteHidesWhatCannotBeTyped(t *testing.T) {
	got, err := newAccount(t, twoRegions()...).Complete(t.Context(), caller(catalogue(false)), prompts.Reference{Prompt: "why_not_running"},
		prompts.Typed{Argument: "instance", Value: "evil"})
	if err != nil || !slices.Equal(got.Values, []string{id(0xa3)}) {
		t.Errorf("%+v, %v", got, err)
	}
}

// Values are told only to those who can have the list, and for what they are offered.
func TestCompleteIsOffered(t *testing.T) {
	all := catalogue(false)
	without := func(tool string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(other string) bool { return other == tool })
	}
	typed := prompts.Typed{Argument: "id"}
	template := prompts.Reference{Template: "scnet://instances/{id}"}
	for _, c := range []struct {
		offered []string
		of      prompts.Reference
		typed   prompts.Typed
		unknown bool
	}{
		{without("list_instances"), template, typed, false},
		{without("get_instance"), template, typed, true},
		{nil, template, typed, true},
		{without("delete_instances"), prompts.Reference{Prompt: "clean_up"}, prompts.Typed{Argument: "name"}, true},
		{all, prompts.Reference{Prompt: "nope"}, prompts.Typed{Argument: "name"}, true},
		{all, prompts.Reference{Prompt: "clean_up"}, prompts.Typed{Argument: "nope"}, true},
		{all, prompts.Reference{Template: "scnet://regions"}, typed, true},
		{all, prompts.Reference{Template: "scnet://instances/x"}, typed, true},
		{all, template, prompts.Typed{Argument: "name"}, true},
		{all, prompts.Reference{}, prompts.Typed{}, true},
	} {
		a := newAccount(t, twoRegions()...)
		got, err := a.Complete(t.Context(), caller(c.offered), c.of, c.typed)
		if errors.Is(err, prompts.ErrUnknown) != c.unknown || len(got.Values) > 0 || a.lists() > 0 {
			t.Errorf("%+v: %+v, %v after %d lists", c, got, err, a.lists())
		}
	}
}

// Clients ask with every key: the service is not.
func TestCompleteKeepsLists(t *testing.T) {
	a := newAccount(t, twoRegions()...)
	complete := func(value string) {
		t.Helper()
		typed := prompts.Typed{Argument: "instance", Value: value}
		if _, err := a.Complete(t.Context(), caller(catalogue(false)), prompts.Reference{Prompt: "why_not_running"}, typed); err != nil {
			t.Fatal(err)
		}
	}
	for _, value := range []string{"", "b", "be", "ber", "bert"} {
		complete(value)
	}
	once := a.lists()
	if once > 2*len(twoRegions()) { // the first list of a region finds out how it wants to be asked
		t.Errorf("%d lists", once)
	}
	a.now = a.now.Add(time.Minute)
	complete("b")
	if a.lists() == once {
		t.Error("the list is kept for too long")
	}
}

// Several clients ask at once, and some of them give up.
func TestCompleteAtOnce(t *testing.T) {
	a := newAccount(t, twoRegions()...)
	var group sync.WaitGroup
	for n := range 16 {
		group.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if n%4 == 0 {
				cancel()
			}
			typed := prompts.Typed{Argument: "instance", Value: "bert", Others: map[string]string{"region": []string{"", "昆山", "乌镇"}[n%3]}}
			got, err := a.Complete(ctx, caller(catalogue(false)), prompts.Reference{Prompt: "why_not_running"}, typed)
			if n%4 != 0 && (err != nil || len(got.Values) == 0) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	group.Wait()
}

// Where there are more instances than a page holds, the service looks for what was typed.
func TestCompleteOfMany(t *testing.T) {
	var many []simulator.Instance
	for n := range 450 {
		many = append(many, simulator.Instance{ID: id(n + 1), Name: fmt.Sprintf("job-%03d", n), Status: simulator.Running})
	}
	a := newAccount(t, simulator.Region{ID: "11250", Name: "昆山", Instances: many})
	for _, c := range []struct {
		value  string
		values int
		more   bool
	}{{"", 100, true}, {"job-00", 10, false}, {"job-449", 1, false}, {"job-000", 1, false}} {
		got, err := a.Complete(t.Context(), caller(catalogue(false)), prompts.Reference{Prompt: "why_not_running"},
			prompts.Typed{Argument: "instance", Value: c.value})
		if err != nil || len(got.Values) != c.values || got.More != c.more {
			t.Errorf("%q: %d values, more: %v, %v", c.value, len(got.Values), got.More, err)
		}
	}
}

// A region that does not answer is left out, and said to be missing; if none answers, that is an error.
func TestCompleteWithoutARegion(t *testing.T) {
	a := newAccount(t, twoRegions()...)
	a.sim.Inject(simulator.Fault{Endpoint: simulator.EndpointList, Own: simulator.OwnFault{Region: "20057"}, Code: "716020"})
	of, typed := prompts.Reference{Prompt: "why_not_running"}, prompts.Typed{Argument: "instance", Value: "bert"}
	got, err := a.Complete(t.Context(), caller(catalogue(false)), of, typed)
	if err != nil || !got.More || !slices.Equal(got.Values, []string{"bert-eval"}) {
		t.Errorf("%+v, %v", got, err)
	}
	a.now = a.now.Add(time.Hour)
	a.sim.Inject(simulator.Fault{Endpoint: simulator.EndpointList, Code: "716020"})
	if got, err := a.Complete(t.Context(), caller(catalogue(false)), of, typed); err == nil || len(got.Values) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReadRegions(t *testing.T) {
	regions := twoRegions()
	regions[1].Suspended = true
	content, err := newAccount(t, regions...).Read(t.Context(), caller(catalogue(false)), "scnet://regions")
	want := `{"regions":[{"id":"11250","name":"华东一区【昆山】","suspended":false},{"id":"20057","name":"华东三区【乌镇】","suspended":true}]}`
	if err != nil || content.Text != want {
		t.Errorf("%s, %v", content.Text, err)
	}
}
