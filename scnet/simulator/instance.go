package simulator

import "time"

// The documented status words (page container/query).
const (
	Waiting    = "Waiting"
	Deploying  = "Deploying"
	Running    = "Running"
	Terminated = "Terminated"
	Failed     = "Failed"
	Completed  = "Completed"
)

// Stopping is what an instance is called while a stop takes time. No page has the word, nor any other for it;
// Quirks.StatusWords can replace it.
const Stopping = "Stopping"

// Instance is a container instance, with the fields of page container/query.
type Instance struct {
	ID               string // 32 hex digits; made up when empty
	HeaderNotebookID string // task id of the first container; made up when empty, new at every restart
	HeaderNotebookIP string
	Name             string
	CurrentIndex     int // 1 when zero
	CPUNumber        int
	GPUNumber        int    // accelerators of any kind
	RAMSize          int    // MB
	AcceleratorType  string // gpu, dcu, mlu or cpu
	ResourceGroup    string
	TaskNumber       int // 1 when zero
	// TimeLimit ends a running instance; zero is unlimited.
	TimeLimit   time.Duration
	UserName    string // the region's cluster user when empty
	Version     string
	ImagePath   string
	Description string
	TaskType    string // ssh when empty

	// Status, if given, stays as it is until an operation changes it, except that Running still ends at TimeLimit; it need
	// not be a documented word. If empty, the instance starts at CreateTime and moves with the clock through Waiting and
	// Deploying to Running. In what the simulator returns it is the present status.
	Status     string
	CreateTime time.Time // now when zero
	StartTime  time.Time
	EndTime    time.Time

	TensorboardID      string
	TensorboardPath    string
	Mounts             []Mount
	Ports              []Port
	UseStartScript     bool
	StartScriptScope   string // all when empty
	StartScriptContent string
	StartScriptPath    string
}

// Mount is an entry of mountInfoList.
type Mount struct {
	SourcePath string `json:"sourcePath"`
	TargetPath string `json:"targetPath"`
	Type       string `json:"type"` // data or path
}

// Port is an entry of containerPortInfoList.
type Port struct {
	ContainerPort int
	ProtocolType  string // SSH or HTTP
	AccessURL     string // for HTTP made up while running when empty
}

// instance is an Instance as the simulator keeps it.
type instance struct {
	Instance
	queued time.Time // when it was last started; zero if Status is fixed
	// inLine says that it needs free accelerators to leave Waiting, and granted when it got them; see region.deal.
	inLine  bool
	granted time.Time
	folded  string // Name in lower case, for the filter
}

// ready is when an instance that was started could begin to deploy.
func (in *instance) ready(t Timing) time.Time { return in.queued.Add(t.Waiting) }

// at is what the clock has made of an instance.
func (in *instance) at(now time.Time, t Timing) (status string, start, end time.Time) {
	status, start, end = in.Status, in.StartTime, in.EndTime
	if !in.queued.IsZero() {
		deploy := in.ready(t)
		if in.inLine {
			deploy = in.granted
		}
		start, end = deploy.Add(t.Deploying), time.Time{}
		switch {
		case deploy.IsZero(), now.Before(deploy):
			return Waiting, time.Time{}, end
		case now.Before(start):
			return Deploying, time.Time{}, end
		}
		status = Running
	}
	switch {
	case status == Stopping && !end.IsZero() && now.Before(end):
		return Stopping, start, time.Time{}
	case status == Stopping && !end.IsZero():
		return Terminated, start, end
	case status != Running:
		return status, start, end
	}
	if start.IsZero() {
		start = in.CreateTime
	}
	if limit := start.Add(in.TimeLimit); in.TimeLimit > 0 && !now.Before(limit) {
		return Terminated, start, limit
	}
	return status, start, end
}

// view is the instance as of now.
func (in *instance) view(now time.Time, t Timing) Instance {
	out := in.Instance
	out.Status, out.StartTime, out.EndTime = in.at(now, t)
	return out
}

// start begins the way from Waiting to Running.
func (in *instance) start(now time.Time, taskID string, inLine bool) {
	in.queued, in.inLine, in.granted = now, inLine, time.Time{}
	in.HeaderNotebookID = taskID
	in.Status, in.StartTime, in.EndTime = "", time.Time{}, time.Time{}
}

// end stops an instance. What runs or is being deployed takes its time to end; that what waits ends at once is an assumption.
func (in *instance) end(now time.Time, t Timing) {
	status, start, _ := in.at(now, t)
	in.StartTime, in.queued = start, time.Time{}
	in.Status, in.EndTime = Terminated, now
	if status != Waiting && t.Stopping > 0 {
		in.Status, in.EndTime = Stopping, now.Add(t.Stopping)
	}
}

// active reports whether a status occupies resources, or is about to.
func active(status string) bool { return status == Waiting || occupies(status) }

// occupies reports whether a status keeps accelerators from others.
func occupies(status string) bool {
	return status == Deploying || status == Running || status == Stopping
}

// ended reports whether an instance in this status can be restarted (page container/restart: "stopped, failed, …").
func ended(status string) bool {
	return status == Terminated || status == Failed || status == Completed
}
