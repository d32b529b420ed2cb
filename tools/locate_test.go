package tools_test

import (
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// called is a job under another name.
func called(i int, name, status string) simulator.Instance {
	in := job(i, status)
	in.Name = name
	return in
}

// twoPlaces is a world with instances in two regions; "twin" is in both.
func twoPlaces(t *testing.T, region string) *world {
	t.Helper()
	return newWorld(t, setup{
		region: region, rules: unlimited(),
		instances: append(jobs(2, simulator.Running), called(8, "twin", simulator.Running), called(5, "Case", simulator.Running)),
		elsewhere: []simulator.Instance{
			called(11, "far-1", simulator.Running), called(12, "twin", simulator.Failed), called(13, "case", simulator.Running), called(14, "job-001x", simulator.Running),
		},
	})
}

func TestInstancesAreFoundWhereverTheyAre(t *testing.T) {
	for name, region := range map[string]string{"none configured": "", "one configured": home, "the other": away} {
		bubble(t, name, func(t *testing.T) {
			w := twoPlaces(t, region)
			preview, second := w.previewed(t, "delete_instances", deletion(id(1), "far-1", " job-002 ", id(2), "Case", "case"))
			var got []string
			for _, target := range preview.Targets {
				got = append(got, target.Place.ID+":"+target.Name)
			}
			if want := "11250:job-001 20057:far-1 11250:job-002 11250:Case 20057:case"; strings.Join(got, " ") != want {
				t.Errorf("found %q, want %q", got, want)
			}
			wantParts(t, preview.Text, "REGION", home, away, "乌镇", "昆山")
			wantOutcomes(t, w.call(t, "delete_instances", second), "done", "deleted", "deleted", "deleted", "deleted", "deleted")
			w.wantSent(t, simulator.EndpointDelete, 2) // one in each region
			if len(w.Instances(home)) != 1 || len(w.Instances(away)) != 2 {
				t.Errorf("left: %d and %d", len(w.Instances(home)), len(w.Instances(away)))
			}
		})
	}
	bubble(t, "an id in the configured region costs one look", func(t *testing.T) {
		w := twoPlaces(t, home)
		w.previewed(t, "delete_instances", deletion(id(1)))
		w.wantSent(t, simulator.EndpointDetail, 1)
	})
	bubble(t, "a named region is the only one", func(t *testing.T) {
		w := twoPlaces(t, "")
		r, _ := w.previewed(t, "delete_instances", deletion("twin").with(arguments{"region": away}))
		if r.Targets[0].ID != id(12) {
			t.Errorf("%s", r.Text)
		}
		w.fails(t, "restart_instance", arguments{"instance_id": id(1), "region": away}, "no such instance", id(1))
	})
}

// What cannot be told is told all at once, with the candidates of every region.
func TestEverythingWrongIsToldAtOnce(t *testing.T) {
	bubble(t, "candidates", func(t *testing.T) {
		w := twoPlaces(t, home)
		w.fails(t, "execute_script", execution("date", "twin", "job", id(1), "a,b", "nobody", "job-*", "CASE"),
			"6 of 7 instances cannot be told", `"twin" is the name of 2 instances`, id(8), id(12), "乌镇", `"job" is neither an id nor a whole name`,
			id(2), id(14), `"a,b" is neither the id nor the name`, "separate elements", `"nobody" is neither`, "list_instances", "Wildcards",
			`"CASE" is the name of 2 instances`, "Nothing was changed")
		w.nothingSent(t)
	})
	bubble(t, "too long", func(t *testing.T) {
		w := twoPlaces(t, home)
		err := w.fails(t, "delete_instances", deletion(strings.Repeat("x", 5000)), "longer than any id or name (5000 bytes)")
		if len(toolbox.Explain(lang.English, err)) > 400 {
			t.Errorf("%d bytes", len(toolbox.Explain(lang.English, err)))
		}
		w.wantSent(t, simulator.EndpointList, 0)
	})
}

// Where a region cannot be asked, nothing is said not to exist, and no name is taken to be the only one.
func TestARegionThatCannotBeAsked(t *testing.T) {
	synctestWorld(t, func(t *testing.T, w *world) {
		w.Inject(simulator.Fault{Code: "10007", Own: simulator.OwnFault{Region: away}})
		w.previewed(t, "delete_instances", deletion(id(1))) // found where it could be looked for
		err := w.fails(t, "delete_instances", deletion(id(1), id(99), "job-001"), "2 of 3", id(99)+`" was not found where it could be looked for`,
			`"job-001" is the name of`, "another may bear it", "乌镇", "could not be asked", "10007")
		if p := toolbox.ProblemOf(err); p.Code != "10007" || p.Kind == "not_found" {
			t.Errorf("%+v", p)
		}
		w.nothingSent(t)
	})
}

func synctestWorld(t *testing.T, f func(*testing.T, *world)) {
	bubble(t, "two regions", func(t *testing.T) { f(t, twoPlaces(t, home)) })
}

func FuzzRefs(f *testing.F) {
	f.Add("job")
	f.Add("a,b")
	f.Add("\x00*")
	f.Fuzz(func(t *testing.T, ref string) {
		w := newWorld(t, setup{instances: jobs(2, simulator.Running)})
		_, err := w.try(t.Context(), toolbox.Call{Tool: "delete_instances", Arguments: encoded(deletion(ref))})
		if err != nil && (len(toolbox.Explain(lang.English, err)) > 2000 || strings.Contains(toolbox.Explain(lang.English, err), "network")) {
			t.Errorf("%q: %s", ref, toolbox.Explain(lang.English, err))
		}
		w.nothingSent(t)
	})
}
