package simulator

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// resources is page container/resources: the limits of one node of a queue.
func (c *call) resources() reply {
	f := queryForm(c.query)
	accelerator := f.word("acceleratorType", true, acceleratorTypes...)
	name := f.text("resourceGroup", true)
	if out, ok := f.verdict(); !ok {
		return out
	}
	g, found := c.group(name)
	if !found || g.AcceleratorType != accelerator {
		return fail(codeInvalid)
	}
	return ok(map[string]any{
		"id": nil, "userName": nil,
		"resourceGroup": g.Name,
		"cpuNumber":     g.CPUNumber,
		"gpuNumber":     g.GPUNumber,
		"memorySize":    g.MemorySize,
		"nodeNumber":    g.NodeNumber,
		"maxTime":       cmp.Or(g.MaxTime, "unlimited"),
		// Zero beside a gpuNumber of two in the sample, too.
		"mluLimits": 0, "dcuLimits": 0, "nvLimits": 0,
	})
}

// groups is page container/group. Its response table is not known; clients expect the groups keyed by accelerator type.
func (c *call) groups() reply {
	type entry struct {
		ID              string `json:"id"`
		Name            string `json:"name"`
		AcceleratorType string `json:"acceleratorType"`
	}
	byType := map[string][]entry{}
	for _, g := range c.region.Groups {
		byType[g.AcceleratorType] = append(byType[g.AcceleratorType], entry{g.Name, g.Name, g.AcceleratorType})
	}
	return ok(byType)
}

// mounts is page container/allowed-mount-dir. Its response table is not known; clients expect a list.
func (c *call) mounts() reply {
	return ok(append([]MountDir{}, c.region.MountDirs...))
}

// images is page container/getImages.
func (c *call) images() reply {
	f := jsonForm(c.body)
	access := f.word("access", true, "public", "private")
	order := f.word("orderBy", true, "create_time", "share_time", "clone_times")
	limit := f.number("limit", true, 1)
	start := f.number("start", true, 0)
	sort := strings.ToUpper(f.text("sort", true))
	f.check(sort == "" || sort == "ASC" || sort == "DESC")
	name := strings.ToLower(f.text("name", false))
	kind := f.text("type", false)
	accelerator := f.word("acceleratorType", false, acceleratorTypes...)
	if out, ok := f.verdict(); !ok {
		return out
	}

	var found []Image
	for _, im := range c.region.Images {
		if im.Private == (access == "private") &&
			strings.Contains(strings.ToLower(im.Name+":"+im.Tag), name) &&
			(kind == "" || im.Type == kind) &&
			(accelerator == "" || im.AcceleratorType == accelerator) {
			found = append(found, im)
		}
	}
	slices.SortStableFunc(found, func(a, b Image) int {
		by := a.CreateTime.Compare(b.CreateTime)
		if order == "clone_times" {
			by = cmp.Compare(a.CloneTimes, b.CloneTimes)
		}
		if sort == "DESC" {
			return -by
		}
		return by
	})
	rest := found[min(start, len(found)):]
	rows := []map[string]any{}
	for _, im := range rest[:min(limit, len(rest))] {
		rows = append(rows, map[string]any{
			"id": im.ID, "name": im.Name, "tag": im.Tag, "version": im.Name + ":" + im.Tag, "path": im.Path,
			"type": im.Type, "acceleratorType": im.AcceleratorType, "status": "Completed",
			"isPresetImage": !im.Private, "access": access, "user": "admin", "imageSize": strconv.FormatInt(im.Size, 10),
			"description": im.Description,
			"createTime":  timeText(im.CreateTime), "cloneTimes": im.CloneTimes,
		})
	}
	key := "data"
	if c.quirks.ImagesRecords {
		key = "records"
	}
	return ok(map[string]any{"total": len(found), key: rows})
}
