package tools_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

func (w *world) resources(t *testing.T, a arguments) (reply, tools.ListResourcesOutput) {
	t.Helper()
	r := w.call(t, "list_resources", a)
	return r, decoded[tools.ListResourcesOutput](t, r)
}

func TestListResources(t *testing.T) {
	bubble(t, "groups", func(t *testing.T) {
		w := newWorld(t, setup{})
		r, out := w.resources(t, arguments{"kind": "groups"})
		if out.Returned != 3 || !reflect.DeepEqual(out.Groups[1], tools.GroupItem{
			Name: "kshdtest", AcceleratorType: "dcu", Accelerators: 4, CPUs: 32, MemoryMB: 126976, Nodes: 16, Unlimited: true,
		}) || *out.Groups[0].TimeLimitSeconds != 360*3600 || out.Groups[0].Unlimited {
			t.Errorf("%+v", out.Groups)
		}
		wantParts(t, r.Text, "TeslaM40", "360:00:00", "unlimited", "limits of one node")
		if _, out = w.resources(t, arguments{"kind": "groups", "accelerator_type": "gpu"}); out.Returned != 1 || *out.Total != 1 {
			t.Errorf("%+v", out)
		}
		if _, out = w.resources(t, arguments{"kind": "groups", "limit": 2}); out.Returned != 2 || *out.Total != 3 || out.NextStart != 2 {
			t.Errorf("%+v", out)
		}
		if _, out = w.resources(t, arguments{"kind": "groups", "start": 2, "limit": 2}); out.Returned != 1 || out.NextStart != 0 {
			t.Errorf("%+v", out)
		}
	})
	bubble(t, "limits that are not known", func(t *testing.T) {
		w := newWorld(t, setup{})
		w.Inject(simulator.Fault{Endpoint: simulator.EndpointResources, Code: "10009"})
		r, out := w.resources(t, arguments{"kind": "groups"})
		if out.Groups[0].Note.IsZero() || out.Groups[0].Unlimited || out.Groups[0].CPUs != 0 {
			t.Errorf("%+v", out.Groups[0])
		}
		wantParts(t, r.Text, "10009")
	})
	bubble(t, "mounts", func(t *testing.T) {
		w := newWorld(t, setup{})
		r, out := w.resources(t, arguments{"kind": "mounts", "name": "SHARE"})
		if len(out.Mounts) != 1 || out.Mounts[0] != (tools.DirectoryItem{Path: "/public/share", Type: "data", Description: "共享数据"}) {
			t.Errorf("%+v", out.Mounts)
		}
		wantParts(t, r.Text, "/public/share")
	})
	bubble(t, "images", func(t *testing.T) {
		w := newWorld(t, setup{})
		r, out := w.resources(t, arguments{"kind": "images", "accelerator_type": "dcu"})
		if len(out.Images) != 1 || out.Images[0].Path != torch.Path || out.Images[0].Name != torch.Name+":"+torch.Tag {
			t.Errorf("%+v", out.Images)
		}
		wantParts(t, r.Text, torch.Path, "private=true")
		if _, out = w.resources(t, arguments{"kind": "images", "private": true}); len(out.Images) != 1 || !out.Images[0].Private {
			t.Errorf("%+v", out.Images)
		}
		if _, out = w.resources(t, arguments{"kind": "images", "limit": 2}); out.NextStart != 2 || *out.Total != 3 {
			t.Errorf("%+v", out)
		}
		if _, out = w.resources(t, arguments{"kind": "images", "name": "none"}); out.Returned != 0 || *out.Total != 0 || out.NextStart != 0 {
			t.Errorf("%+v", out)
		}
	})
}

// Every page of images brings others, whatever the limit, and together they are all.
func TestListResourcesPages(t *testing.T) {
	bubble(t, "images", func(t *testing.T) {
		var all []simulator.Image
		for i := range 23 {
			all = append(all, simulator.Image{ID: id(i), Name: fmt.Sprintf("image-%02d", i), Tag: "1", Path: fmt.Sprintf("registry/image-%02d:1", i),
				AcceleratorType: "dcu", CreateTime: time.Now().Add(time.Duration(i) * time.Minute)})
		}
		w := newWorld(t, setup{images: all})
		seen := map[string]bool{}
		for start, pages := 0, 0; ; pages++ {
			_, out := w.resources(t, arguments{"kind": "images", "start": start, "limit": 7})
			for _, image := range out.Images {
				if seen[image.Path] {
					t.Errorf("%s comes twice", image.Path)
				}
				seen[image.Path] = true
			}
			if start = out.NextStart; start == 0 {
				if pages != 3 || len(seen) != 23 {
					t.Errorf("%d images on %d pages", len(seen), pages+1)
				}
				return
			}
		}
	})
}
