package simulator

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	taskTypes        = []string{"ssh", "jupyter", "codeserver", "rstudio"}
	acceleratorTypes = []string{"mlu", "dcu", "gpu", "cpu"}
	scopes           = []string{"all", "header"}
)

// create is page container/create. The created instance waits first. That 716865 is the answer for what the resource group
// does not have or allow is an assumption.
func (c *call) create() reply {
	f := jsonForm(c.body)
	in := Instance{
		Name:             f.text("instanceServiceName", true),
		TaskType:         f.word("taskType", true, taskTypes...),
		AcceleratorType:  f.word("acceleratorType", true, acceleratorTypes...),
		Version:          f.text("version", true),
		ImagePath:        f.text("imagePath", true),
		TaskNumber:       f.number("taskNumber", true, 1),
		ResourceGroup:    f.text("resourceGroup", true),
		CPUNumber:        f.number("cpuNumber", true, 1),
		GPUNumber:        f.number("gpuNumber", true, 0),
		RAMSize:          f.number("ramSize", true, 1),
		UseStartScript:   f.flag("useStartScript", true),
		StartScriptScope: f.word("startScriptActionScope", true, scopes...),
		Description:      f.text("description", false),
	}
	in.StartScriptContent = f.text("startScriptContent", in.UseStartScript)
	if limit := f.text("timeoutLimit", true); limit != "" {
		d, ok := parseTimeLimit(limit)
		f.check(ok)
		in.TimeLimit = d
	}
	in.Mounts = mountsOf(f)
	in.Ports = portsOf(f)
	if out, ok := f.verdict(); !ok {
		return out
	}
	group, found := c.group(in.ResourceGroup)
	if !found || group.AcceleratorType != in.AcceleratorType || !group.holds(in) || !group.lasts(in.TimeLimit) ||
		c.quirks.CardsRunOut && in.accelerators() > group.accelerators() ||
		c.quirks.CreateChecks && !c.region.offers(in) {
		return fail(codeCreate)
	}
	return ok(c.sim.insert(c.region, in, c.now).ID)
}

func mountsOf(f *form) []Mount {
	var mounts []Mount
	f.value("mountInfoList", false, &mounts)
	for _, m := range mounts {
		f.incomplete = f.incomplete || m.SourcePath == "" || m.TargetPath == "" || m.Type == ""
		f.check(m.Type == "" || m.Type == "data" || m.Type == "path")
	}
	return mounts
}

// portsOf takes port numbers as numbers, as the table of page container/create says, and as strings, as its sample shows.
func portsOf(f *form) []Port {
	var rows []portRow
	f.value("containerPortInfoList", false, &rows)
	var ports []Port
	for _, r := range rows {
		p := Port{ProtocolType: r.ProtocolType}
		switch v := r.ContainerPort.(type) {
		case float64:
			p.ContainerPort = int(v)
			f.check(v == float64(p.ContainerPort))
		case string:
			n, err := strconv.Atoi(v)
			f.check(err == nil)
			p.ContainerPort = n
		case nil:
			f.incomplete = true
			continue
		}
		f.check(p.ContainerPort > 0 && p.ContainerPort < 1<<16)
		f.check(p.ProtocolType == "SSH" || p.ProtocolType == "HTTP")
		ports = append(ports, p)
	}
	return ports
}

// resize changes the resources of an instance that is not active, within the limits of its group. There is no page on it;
// path and parameters are what clients send, the codes are assumptions.
func (c *call) resize() reply {
	f := jsonForm(c.body)
	id := f.text("id", true)
	cpu := f.number("cpuNumber", true, 1)
	gpu := f.number("gpuNumber", true, 0)
	ram := f.number("ramSize", true, 1)
	if out, ok := f.verdict(); !ok {
		return out
	}
	in := c.region.byID[id]
	if in == nil {
		return fail(codeUnknown)
	}
	resized := in.Instance
	resized.CPUNumber, resized.GPUNumber, resized.RAMSize = cpu, gpu, ram
	if group, found := c.group(in.ResourceGroup); c.active(in) || found && !group.holds(resized) {
		return fail(codeInvalid)
	}
	in.Instance = resized
	return ok(nil)
}

func (c *call) group(name string) (ResourceGroup, bool) {
	for _, g := range c.region.Groups {
		if g.Name == name {
			return g, true
		}
	}
	return ResourceGroup{}, false
}

// holds reports whether one node of the group is large enough for one container of an instance.
func (g ResourceGroup) holds(in Instance) bool {
	return in.CPUNumber <= g.CPUNumber && in.GPUNumber <= g.GPUNumber && in.RAMSize <= g.MemorySize
}

// lasts reports whether the group lets an instance run that long.
func (g ResourceGroup) lasts(limit time.Duration) bool {
	most, ok := parseTimeLimit(g.MaxTime)
	return !ok || most == 0 || limit > 0 && limit <= most
}

// offers reports whether the region has the image and the directories that an instance names.
func (r *region) offers(in Instance) bool {
	image := slices.ContainsFunc(r.Images, func(im Image) bool {
		return im.Path == in.ImagePath && im.AcceleratorType == in.AcceleratorType
	})
	foreign := slices.ContainsFunc(in.Mounts, func(m Mount) bool {
		return !slices.ContainsFunc(r.MountDirs, func(d MountDir) bool {
			return m.SourcePath == d.Path || strings.HasPrefix(m.SourcePath, strings.TrimSuffix(d.Path, "/")+"/")
		})
	})
	return image && !foreign
}
