package scnet

import (
	"strings"
	"time"
)

// Status is an instance's status in the service's own words (page container/query). Words that the page does not list
// pass through unchanged.
type Status string

// The documented statuses.
const (
	Running    Status = "Running"
	Deploying  Status = "Deploying"
	Waiting    Status = "Waiting" // queueing for cards; may last from minutes to hours
	Terminated Status = "Terminated"
	Failed     Status = "Failed"
	Completed  Status = "Completed"
)

// Statuses returns the documented statuses.
func Statuses() []Status {
	return []Status{Running, Deploying, Waiting, Terminated, Failed, Completed}
}

// ParseStatus gives a documented status its documented spelling; another word comes back as it is, with false.
func ParseStatus(word string) (Status, bool) {
	for _, s := range Statuses() {
		if s.Is(Status(word)) {
			return s, true
		}
	}
	return Status(word), false
}

// Is compares without regard to case.
func (s Status) Is(other Status) bool { return strings.EqualFold(string(s), string(other)) }

// TaskTypes returns the documented task types (page container/query).
func TaskTypes() []string { return []string{"ssh", "jupyter", "codeserver", "rstudio"} }

// Instance is a container instance (pages container/query and container/detail). Text is as the service sent it and not
// cleaned for display; a time that the service does not give is zero.
type Instance struct {
	ID       string
	Name     string
	Status   Status
	TaskType string // how it is reached: one of TaskTypes

	AcceleratorType string // "gpu", "dcu", "mlu", "cpu"
	Accelerators    int    // cards
	CPUs            int
	MemoryMB        int
	ResourceGroup   string
	ResourceSpec    string // the three above in Chinese words
	Containers      int    // containers of the instance

	Owner       string
	Image       string // name and tag
	ImagePath   string
	Description string

	CreatedAt time.Time
	StartedAt time.Time
	EndedAt   time.Time
	Duration  string // as the service words it, "" for its "--"
	Remaining string // until the time limit, likewise
	TimeLimit string // "unlimited" or HH:MM:SS, hours may exceed 24

	HeaderTaskID string // of the first container
	HeaderIP     string
	Mounts       []Mount
	Ports        []Port
	StartScript  StartScript
}

// Mount is a directory that the instance mounts.
type Mount struct {
	Source, Target string
	Type           string // "data" or "path"
}

// Port is a container port that the service publishes.
type Port struct {
	Container string
	Protocol  string // "SSH" or "HTTP"
	AccessURL Secret // may carry a token, and often needs no other
}

// StartScript runs when the instance starts.
type StartScript struct {
	Enabled bool
	Scope   string // "all" or "header"
	Path    string
	Content Secret // may hold passwords
}

// instanceRow is an instance as the service sends it.
type instanceRow struct {
	ID                  text           `json:"id"`
	HeaderNotebookID    text           `json:"headerNotebookId"`
	HeaderNotebookIP    text           `json:"headerNotebookIp"`
	InstanceServiceName text           `json:"instanceServiceName"`
	Status              text           `json:"status"`
	TaskType            text           `json:"taskType"`
	AcceleratorType     text           `json:"acceleratorType"`
	GPUNumber           number         `json:"gpuNumber"`
	CPUNumber           number         `json:"cpuNumber"`
	RAMSize             number         `json:"ramSize"`
	ResourceGroup       text           `json:"resourceGroup"`
	ResourceSpec        text           `json:"resourceSpec"`
	TaskNumber          number         `json:"taskNumber"`
	UserName            text           `json:"userName"`
	Version             text           `json:"version"`
	ImagePath           text           `json:"imagePath"`
	Description         text           `json:"description"`
	CreateTime          text           `json:"createTime"`
	StartTime           text           `json:"startTime"`
	EndTime             text           `json:"endTime"`
	Duration            text           `json:"duration"`
	RemainingTime       text           `json:"remainingTime"`
	TimeoutLimit        text           `json:"timeoutLimit"`
	UseStartScript      truth          `json:"useStartScript"`
	StartScriptScope    text           `json:"startScriptActionScope"`
	StartScriptPath     text           `json:"startScriptPath"`
	StartScriptContent  text           `json:"startScriptContent"`
	MountInfoList       list[mountRow] `json:"mountInfoList"`
	ContainerPortList   list[portRow]  `json:"containerPortInfoList"`
}

type mountRow struct {
	SourcePath text `json:"sourcePath"`
	TargetPath text `json:"targetPath"`
	Type       text `json:"type"`
}

type portRow struct {
	AccessURL     text `json:"accessUrl"`
	ContainerPort text `json:"containerPort"`
	ProtocolType  text `json:"protocolType"`
}

func (row instanceRow) instance() Instance {
	in := Instance{
		ID:              string(row.ID),
		Name:            string(row.InstanceServiceName),
		Status:          Status(row.Status),
		TaskType:        string(row.TaskType),
		AcceleratorType: string(row.AcceleratorType),
		Accelerators:    int(row.GPUNumber),
		CPUs:            int(row.CPUNumber),
		MemoryMB:        int(row.RAMSize),
		ResourceGroup:   string(row.ResourceGroup),
		ResourceSpec:    string(row.ResourceSpec),
		Containers:      int(row.TaskNumber),
		Owner:           string(row.UserName),
		Image:           string(row.Version),
		ImagePath:       string(row.ImagePath),
		Description:     string(row.Description),
		CreatedAt:       parseTime(row.CreateTime),
		StartedAt:       parseTime(row.StartTime),
		EndedAt:         parseTime(row.EndTime),
		Duration:        undashed(row.Duration),
		Remaining:       undashed(row.RemainingTime),
		TimeLimit:       string(row.TimeoutLimit),
		HeaderTaskID:    string(row.HeaderNotebookID),
		HeaderIP:        string(row.HeaderNotebookIP),
		StartScript: StartScript{
			Enabled: bool(row.UseStartScript),
			Scope:   string(row.StartScriptScope),
			Path:    string(row.StartScriptPath),
			Content: NewSecret(string(row.StartScriptContent)),
		},
	}
	for _, m := range row.MountInfoList {
		in.Mounts = append(in.Mounts, Mount{Source: string(m.SourcePath), Target: string(m.TargetPath), Type: string(m.Type)})
	}
	for _, p := range row.ContainerPortList {
		in.Ports = append(in.Ports, Port{
			Container: string(p.ContainerPort), Protocol: string(p.ProtocolType), AccessURL: NewSecret(string(p.AccessURL)),
		})
	}
	return in
}

// parseTime reads the service's times, which carry no zone and are China's.
func parseTime(t text) time.Time {
	if t == "" {
		return time.Time{}
	}
	at, err := time.ParseInLocation(time.DateTime, string(t), ChinaTime)
	if err != nil {
		return time.Time{}
	}
	return at
}

func undashed(t text) string {
	if t == "--" {
		return ""
	}
	return string(t)
}
