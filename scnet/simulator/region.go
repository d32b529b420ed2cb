package simulator

import (
	"os"
	"slices"
	"strings"
	"time"
)

// Region is a computing region the account has resources in.
type Region struct {
	ID   string // clusterId
	Name string // clusterName
	// Suspended marks a region in which the account has no credit: the token list has no token for it.
	Suspended bool
	// NoContainer marks a region without the container service: its aiUrls are there, but every container call answers an
	// HTML 404.
	NoContainer bool
	ClusterUser string // user name in the cluster; the account's user when empty
	HomePath    string // /public/home/<ClusterUser> when empty
	// Storage is the directory on this machine that HomePath stands for in the file service. Without one, a temporary
	// directory is made when the service is first used, which Close removes.
	Storage string

	Groups    []ResourceGroup // DemoGroups() when nil
	MountDirs []MountDir      // the home directory and a public one when nil
	Images    []Image         // DemoImages() when nil
	Instances []Instance
}

// ResourceGroup is a queue of nodes of one kind, with the limits of one node.
type ResourceGroup struct {
	Name            string
	AcceleratorType string
	CPUNumber       int
	GPUNumber       int
	MemorySize      int // MB
	NodeNumber      int
	MaxTime         string // unlimited when empty
}

// MountDir is a directory that instances may mount.
type MountDir struct {
	Path        string `json:"path"`
	MountType   string `json:"mountType"`
	Description string `json:"description"`
}

// Image is a container image.
type Image struct {
	ID              string
	Name            string
	Tag             string
	Type            string // JupyterLab, CodeServer, RStudio, Base, …
	AcceleratorType string
	Path            string
	Private         bool
	CreateTime      time.Time
	CloneTimes      int
	Size            int64 // bytes
	Description     string
}

// region is a Region as the simulator keeps it.
type region struct {
	Region
	host   *host
	byAge  []*instance // by CreateTime, oldest first
	byID   map[string]*instance
	files  *os.Root          // HomePath; nil until it is needed
	makers map[string]string // the back ends that made files, by name
	acting []*acting         // scripts that are imitated and not over
	dealt  time.Time         // up to when accelerators have been dealt out
}

func (s *Simulator) newRegion(o Region, now time.Time) *region {
	r := &region{Region: o, byID: map[string]*instance{}, makers: map[string]string{}}
	r.host = &host{sim: s, region: r, routes: containerRoutes, url: "https://region-" + o.ID + ".scnet.test"}
	r.host.second = &host{sim: s, region: r, routes: containerRoutes, prefix: secondBackEnd}
	if r.ClusterUser == "" {
		r.ClusterUser = s.accounts[0].User
	}
	if r.HomePath == "" {
		r.HomePath = "/public/home/" + r.ClusterUser
	}
	if r.Groups == nil {
		r.Groups = DemoGroups()
	}
	if r.MountDirs == nil {
		r.MountDirs = []MountDir{
			{Path: r.HomePath, MountType: "path", Description: "家目录"},
			{Path: "/public/share", MountType: "data", Description: "共享数据"},
		}
	}
	if r.Images == nil {
		r.Images = DemoImages()
	}
	r.Instances = nil
	for _, in := range o.Instances {
		s.insert(r, in, now)
	}
	return r
}

// dealt is the region with the given id, as it is now; nil if there is none. The caller holds s.mu.
func (s *Simulator) dealt(id string, now time.Time) *region {
	r := s.region(id)
	if r != nil {
		r.deal(now, s.timing)
	}
	return r
}

// AddInstance adds an instance and returns its id; empty if there is no such region. An instance with the same id is
// replaced.
func (s *Simulator) AddInstance(regionID string, in Instance) (id string) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.dealt(regionID, now)
	if r == nil {
		return ""
	}
	return s.insert(r, in, now).ID
}

// RemoveInstance makes an instance vanish, as if it had been deleted in the web console. It reports whether there was one.
func (s *Simulator) RemoveInstance(regionID, id string) bool {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.dealt(regionID, now)
	return r != nil && r.remove(id)
}

// UpdateInstance changes an instance behind the client's back and reports whether there was one. change may set every field;
// setting Status to "" restarts the instance. It must not call the simulator.
func (s *Simulator) UpdateInstance(regionID, id string, change func(*Instance)) bool {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.dealt(regionID, now)
	if r == nil || r.byID[id] == nil {
		return false
	}
	old := r.byID[id]
	in := old.view(now, s.timing)
	in.Mounts, in.Ports = slices.Clone(in.Mounts), slices.Clone(in.Ports)
	status := in.Status
	change(&in)
	r.remove(id)
	added := s.insert(r, in, now)
	switch in.Status {
	case status: // the clock goes on as before
		added.queued, added.inLine, added.granted = old.queued, old.inLine, old.granted
		if status == Stopping {
			added.EndTime = old.EndTime
		}
		if !old.queued.IsZero() {
			added.Status, added.StartTime, added.EndTime = "", time.Time{}, time.Time{}
		}
	case "":
		added.start(now, s.newID(), s.quirks.CardsRunOut)
	}
	return true
}

// Instances returns the instances of a region in their present status, oldest first.
func (s *Simulator) Instances(regionID string) []Instance {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.dealt(regionID, now)
	if r == nil {
		return nil
	}
	out := make([]Instance, len(r.byAge))
	for i, in := range r.byAge {
		out[i] = in.view(now, s.timing)
		out[i].Mounts, out[i].Ports = slices.Clone(in.Mounts), slices.Clone(in.Ports)
	}
	return out
}

// insert adds an instance with its defaults filled in. The caller holds s.mu, or is New.
func (s *Simulator) insert(r *region, o Instance, now time.Time) *instance {
	text := func(field *string, fallback string) {
		if *field == "" {
			*field = fallback
		}
	}
	in := &instance{Instance: o, folded: strings.ToLower(o.Name)}
	in.Mounts, in.Ports = slices.Clone(o.Mounts), slices.Clone(o.Ports)
	if in.ID == "" {
		in.ID = s.newID()
	}
	if in.HeaderNotebookID == "" {
		in.HeaderNotebookID = s.newID()
	}
	if in.CreateTime.IsZero() {
		in.CreateTime = now
	}
	if in.Status == "" {
		in.queued, in.inLine = in.CreateTime, s.quirks.CardsRunOut
	}
	in.CurrentIndex = max(in.CurrentIndex, 1)
	in.TaskNumber = max(in.TaskNumber, 1)
	text(&in.TaskType, "ssh")
	text(&in.UserName, r.ClusterUser)
	text(&in.StartScriptScope, "all")

	r.remove(in.ID)
	i, _ := slices.BinarySearchFunc(r.byAge, in, func(other, in *instance) int {
		if other.CreateTime.After(in.CreateTime) {
			return 1
		}
		return -1 // equal times: behind those that came before
	})
	r.byAge = slices.Insert(r.byAge, i, in)
	r.byID[in.ID] = in
	return in
}

// remove takes an instance out. The caller holds s.mu.
func (r *region) remove(id string) bool {
	in := r.byID[id]
	if in == nil {
		return false
	}
	delete(r.byID, id)
	i := slices.Index(r.byAge, in)
	r.byAge = slices.Delete(r.byAge, i, i+1)
	return true
}
