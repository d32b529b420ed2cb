package tools

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// InstanceItem is one instance in a result: the fields that every list shows, and those that are shown on request.
type InstanceItem struct {
	ID   string `json:"id" jsonschema_description:"Id"`
	Name string `json:"name,omitempty" jsonschema_description:"Name, not unique"`
	toolbox.Place
	Status            string    `json:"status,omitempty" jsonschema_description:"Status"`
	AcceleratorType   string    `json:"accelerator_type,omitempty" jsonschema_description:"Kind of accelerator"`
	Accelerators      int       `json:"accelerators" jsonschema_description:"Accelerators of one container"`
	Containers        int       `json:"containers" jsonschema_description:"Containers"`
	TotalAccelerators int       `json:"total_accelerators" jsonschema_description:"Accelerators of all containers"`
	Owner             string    `json:"owner,omitempty" jsonschema_description:"Owner"`
	CreatedAt         time.Time `json:"created_at,omitzero" jsonschema_description:"Creation"`
	RemainingSeconds  *int      `json:"remaining_seconds,omitempty" jsonschema_description:"Until the time limit; absent: none, or not running"`

	InstanceDetail
}

// InstanceDetail is what a list shows of an instance only on request. Secrets are left out: the text of a start script, and
// access addresses.
type InstanceDetail struct {
	TaskType         string          `json:"task_type,omitempty" jsonschema_description:"ssh, jupyter, codeserver or rstudio"`
	CPUs             int             `json:"cpus,omitempty" jsonschema_description:"CPU cores of one container"`
	MemoryMB         int             `json:"memory_mb,omitempty" jsonschema_description:"Memory of one container"`
	ResourceGroup    string          `json:"resource_group,omitempty" jsonschema_description:"Resource group"`
	Image            string          `json:"image,omitempty" jsonschema_description:"Image"`
	StartedAt        time.Time       `json:"started_at,omitzero" jsonschema_description:"Start"`
	EndedAt          time.Time       `json:"ended_at,omitzero" jsonschema_description:"End"`
	RunningSeconds   *int            `json:"running_seconds,omitempty" jsonschema_description:"How long it has run, or ran"`
	TimeLimitSeconds *int            `json:"time_limit_seconds,omitempty" jsonschema_description:"How long it may run; absent: no limit"`
	Mounts           []toolbox.Mount `json:"mounts,omitempty" jsonschema_description:"Directories that outlive it; absent: none"`
	Ports            []InstancePort  `json:"ports,omitempty" jsonschema_description:"Published ports"`
	StartScript      *StartScript    `json:"start_script,omitempty" jsonschema_description:"What runs when it starts"`
	Description      string          `json:"description,omitempty" jsonschema_description:"Its owner's words"`
}

// InstancePort is a port that the service publishes.
type InstancePort struct {
	Port     int    `json:"port" jsonschema_description:"Port of the container"`
	Protocol string `json:"protocol,omitempty" jsonschema_description:"SSH or HTTP"`
}

// StartScript is what is told about a start script. Its text may hold passwords.
type StartScript struct {
	Scope   string `json:"scope,omitempty" jsonschema_description:"all or header"`
	Bytes   int    `json:"bytes" jsonschema_description:"Length"`
	Enabled bool   `json:"enabled" jsonschema_description:"Whether it runs"`
}

func instanceItem(in scnet.Instance, at toolbox.Place, now time.Time, detail bool) InstanceItem {
	item := InstanceItem{
		ID: text.Field(in.ID), Name: text.Field(in.Name), Place: at.Shown(), Status: text.Field(string(in.Status)),
		AcceleratorType: text.Field(in.AcceleratorType), Accelerators: in.Accelerators, Containers: in.Containers,
		TotalAccelerators: in.TotalAccelerators(), Owner: text.Field(in.Owner), CreatedAt: in.CreatedAt,
		RemainingSeconds: seconds(in.Left(now)),
	}
	if detail {
		item.InstanceDetail = instanceDetail(in, now)
	}
	return item
}

func instanceDetail(in scnet.Instance, now time.Time) InstanceDetail {
	d := InstanceDetail{
		TaskType: text.Field(in.TaskType), CPUs: in.CPUs, MemoryMB: in.MemoryMB, ResourceGroup: text.Field(in.ResourceGroup),
		Image: text.Field(in.Image), StartedAt: in.StartedAt, EndedAt: in.EndedAt, RunningSeconds: seconds(in.Ran(now)),
		TimeLimitSeconds: seconds(in.Limit()), Mounts: mounts(in), Description: text.Field(in.Description),
	}
	for i, m := range d.Mounts {
		d.Mounts[i] = toolbox.Mount{Source: text.Field(m.Source), Target: text.Field(m.Target), Type: text.Field(m.Type)}
	}
	for _, p := range in.Ports {
		port, _ := strconv.Atoi(p.Container) // 0 for what is not a number
		d.Ports = append(d.Ports, InstancePort{Port: port, Protocol: text.Field(p.Protocol)})
	}
	if in.StartScript.Enabled || in.StartScript.Content.IsSet() {
		d.StartScript = &StartScript{
			Scope: text.Field(in.StartScript.Scope), Bytes: len(in.StartScript.Content.Reveal()), Enabled: in.StartScript.Enabled,
		}
	}
	return d
}

// mounts are the directories that an instance mounts, as the service names them.
func mounts(in scnet.Instance) (mounts []toolbox.Mount) {
	for _, m := range in.Mounts {
		mounts = append(mounts, toolbox.Mount{Source: m.Source, Target: m.Target, Type: m.Type})
	}
	return mounts
}

func seconds(d time.Duration, known bool) *int {
	if !known {
		return nil
	}
	n := int(d / time.Second)
	return &n
}

// cards words the accelerators for people: 2 dcu, or 4 × 2 dcu for four containers.
func (i InstanceItem) cards() string {
	switch {
	case i.Accelerators == 0:
		return i.AcceleratorType
	case i.Containers > 1:
		return strings.TrimSpace(fmt.Sprintf("%d × %d %s", i.Containers, i.Accelerators, i.AcceleratorType))
	}
	return strings.TrimSpace(strconv.Itoa(i.Accelerators) + " " + i.AcceleratorType)
}

// left words the time until the limit for people.
func (i InstanceItem) left(l lang.Lang) string {
	if i.RemainingSeconds == nil {
		return ""
	}
	return lang.Span(time.Duration(*i.RemainingSeconds) * time.Second).In(l)
}

// age words the time since the creation for people.
func (i InstanceItem) age(l lang.Lang, now time.Time) string {
	if i.CreatedAt.IsZero() {
		return ""
	}
	return lang.Age(now.Sub(i.CreatedAt)).In(l)
}

// facts words the detail for people, each as a field and its value.
func (d InstanceDetail) facts(l lang.Lang) string {
	var facts []string
	add := func(field, value string) {
		if value != "" && value != "0" {
			facts = append(facts, field+" "+value)
		}
	}
	at := func(field string, t time.Time) {
		if !t.IsZero() {
			add(field, t.Format(time.RFC3339))
		}
	}
	span := func(field string, seconds *int) {
		if seconds != nil {
			add(field, lang.Span(time.Duration(*seconds)*time.Second).In(l))
		}
	}
	add("task_type", d.TaskType)
	add("cpus", strconv.Itoa(d.CPUs))
	add("memory_mb", strconv.Itoa(d.MemoryMB))
	add("resource_group", d.ResourceGroup)
	add("image", d.Image)
	at("started_at", d.StartedAt)
	at("ended_at", d.EndedAt)
	span("ran", d.RunningSeconds)
	span("time_limit", d.TimeLimitSeconds)
	for _, m := range d.Mounts {
		add("mount", m.In(l))
	}
	for _, p := range d.Ports {
		add("port", strings.TrimSpace(strconv.Itoa(p.Port)+" "+p.Protocol))
	}
	if s := d.StartScript; s != nil {
		words := lang.T("%d bytes", s.Bytes)
		if !s.Enabled {
			words = lang.T("%d bytes, off", s.Bytes)
		}
		add("start_script", strings.TrimSpace(s.Scope+" "+words.In(l)))
	}
	if d.Description != "" {
		add("description", strconv.Quote(d.Description))
	}
	return strings.Join(facts, "; ")
}
