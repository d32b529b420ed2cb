package scnet

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/lenient"
	clean "github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// AcceleratorTypes returns the documented accelerator types (page container/create). The last has none.
func AcceleratorTypes() []string { return []string{"dcu", "gpu", "mlu", "cpu"} }

// MountTypes returns the documented types of a mount.
func MountTypes() []string { return []string{"path", "data"} }

// PortProtocols returns the documented protocols of a published port.
func PortProtocols() []string { return []string{"SSH", "HTTP"} }

// Size is what each container of an instance has.
type Size struct {
	CPUs         int
	Accelerators int // of any kind; 0 for cpu
	MemoryMB     int
}

func (s Size) check() error {
	if s.CPUs < 1 || s.Accelerators < 0 || s.MemoryMB < 1 {
		return lang.Errorf("%d CPUs, %d accelerators and %d MB of memory: they must be at least 1, 0 and 1", s.CPUs, s.Accelerators, s.MemoryMB)
	}
	return nil
}

// NewInstance is what Create asks for (page container/create).
type NewInstance struct {
	Name            string
	TaskType        string // one of TaskTypes
	AcceleratorType string // one of AcceleratorTypes
	ResourceGroup   string
	Image           string // name and tag
	ImagePath       string
	TimeLimit       string // HH:MM:SS or Unlimited; there is no default, because time costs money
	Containers      int
	Size            Size
	Description     string
	Mounts          []Mount
	Ports           []NewPort
	StartScript     StartScript // Path is not sent
}

// NewPort is a container port to publish.
type NewPort struct {
	Container int
	Protocol  string // one of PortProtocols
}

// check refuses what the service would answer with a code that names no parameter.
func (n NewInstance) check() error {
	var problems []error
	problem := func(wrong bool, format string, args ...any) {
		if wrong {
			problems = append(problems, lang.Errorf(format, args...))
		}
	}
	for _, required := range []struct {
		name  lang.Text
		value string
	}{
		{lang.T("name"), n.Name}, {lang.T("resource group"), n.ResourceGroup}, {lang.T("image"), n.Image},
		{lang.T("image path"), n.ImagePath},
	} {
		problem(strings.TrimSpace(required.value) == "", "the %s is missing", required.name)
	}
	for _, value := range []string{n.Name, n.ResourceGroup, n.Image, n.ImagePath, n.Description} {
		problem(!utf8.ValidString(value), "%q is not valid UTF-8", value)
	}
	problem(!slices.Contains(TaskTypes(), n.TaskType), "the task type must be one of %s", strings.Join(TaskTypes(), ", "))
	problem(!slices.Contains(AcceleratorTypes(), n.AcceleratorType), "the accelerator type must be one of %s",
		strings.Join(AcceleratorTypes(), ", "))
	_, known := ParseTimeLimit(n.TimeLimit)
	problem(!known, "the time limit must be HH:MM:SS or %q", Unlimited)
	problem(n.Containers < 1, "%d containers; there must be at least 1", n.Containers)
	if err := n.Size.check(); err != nil {
		problems = append(problems, err)
	}
	for _, m := range n.Mounts {
		problem(m.Source == "" || m.Target == "" || !slices.Contains(MountTypes(), m.Type),
			"a mount needs a source, a target and a type, one of %s", strings.Join(MountTypes(), ", "))
	}
	for _, p := range n.Ports {
		problem(p.Container < 1 || p.Container > 65535 || !slices.Contains(PortProtocols(), p.Protocol),
			"a port needs a number from 1 to 65535 and a protocol, one of %s", strings.Join(PortProtocols(), ", "))
	}
	return errors.Join(problems...)
}

// body encodes every documented field. The page's table types a port's number as an integer, its sample shows a string; the
// table is followed.
func (n NewInstance) body() ([]byte, error) {
	type mount struct {
		Source string `json:"sourcePath"`
		Target string `json:"targetPath"`
		Type   string `json:"type"`
	}
	type port struct {
		Container int    `json:"containerPort"`
		Protocol  string `json:"protocolType"`
	}
	mounts, ports := []mount{}, []port{}
	for _, m := range n.Mounts {
		mounts = append(mounts, mount(m))
	}
	for _, p := range n.Ports {
		ports = append(ports, port(p))
	}
	script, scope := "", n.StartScript.Scope
	if n.StartScript.Enabled {
		normal, err := NormalizeScript(n.StartScript.Content.Reveal())
		if err != nil {
			return nil, err
		}
		script = normal
	}
	if scope == "" {
		scope = "all"
	}
	if scope != "all" && scope != "header" {
		return nil, lang.Errorf("%w: scope must be \"all\" or \"header\"", ErrInvalidScript)
	}
	return json.Marshal(struct {
		Name            string  `json:"instanceServiceName"`
		TaskType        string  `json:"taskType"`
		AcceleratorType string  `json:"acceleratorType"`
		Version         string  `json:"version"`
		ImagePath       string  `json:"imagePath"`
		TimeLimit       string  `json:"timeoutLimit"`
		Containers      int     `json:"taskNumber"`
		ResourceGroup   string  `json:"resourceGroup"`
		CPUs            int     `json:"cpuNumber"`
		Accelerators    int     `json:"gpuNumber"`
		MemoryMB        int     `json:"ramSize"`
		UseScript       bool    `json:"useStartScript"`
		ScriptScope     string  `json:"startScriptActionScope"`
		Script          string  `json:"startScriptContent,omitempty"`
		Description     string  `json:"description"`
		Mounts          []mount `json:"mountInfoList"`
		Ports           []port  `json:"containerPortInfoList"`
	}{
		n.Name, n.TaskType, n.AcceleratorType, n.Image, n.ImagePath, n.TimeLimit, n.Containers, n.ResourceGroup,
		n.Size.CPUs, n.Size.Accelerators, n.Size.MemoryMB, n.StartScript.Enabled, scope, script, n.Description, mounts, ports,
	})
}

// Create makes an instance and starts it (page container/create), which costs money from then on. It returns the new
// instance's id, "" if the service did not tell one.
func (r *Region) Create(ctx context.Context, n NewInstance) (id string, err error) {
	c := call{
		op: opCreate, region: r, method: http.MethodPost, write: true, url: instancesPath,
		header: http.Header{"Content-Type": {"application/json"}},
		settle: upstream.Text{
			English: "Look for an instance of that name in the list, created since.", Chinese: "请在列表中查找此后创建的同名实例。",
		},
	}
	if err := n.check(); err != nil {
		return "", c.invalid(err)
	}
	if c.body, err = n.body(); err != nil {
		return "", c.invalid(err)
	}
	env, err := r.do(ctx, c)
	if err != nil {
		return "", err
	}
	return createdID(env.Data), nil
}

// createdID reads the id of a new instance: a string by the page, which some clients' test data wrap in an object.
func createdID(data json.RawMessage) string {
	var id text
	_ = lenient.Unmarshal(data, &id) // text never fails
	if id == "" {
		var object struct {
			InstanceServiceID text `json:"instanceServiceId"`
			ID                text `json:"id"`
		}
		if lenient.Unmarshal(data, &object) == nil {
			if id = object.InstanceServiceID; id == "" {
				id = object.ID
			}
		}
	}
	if !clean.IsID(string(id)) {
		return ""
	}
	return string(id)
}

// Resize changes what each container of an instance has. The instance must not be active. SCNet has no page on it; path and
// parameters are those that clients send.
func (r *Region) Resize(ctx context.Context, id string, size Size) error {
	c := call{
		op: opResize, region: r, method: http.MethodPost, write: true, url: "instance-service/resource-spec/actions/update",
		header: http.Header{"Content-Type": {"application/json"}},
		settle: upstream.Text{English: "The instance's detail shows its size.", Chinese: "请以实例详情中的规格为准。"},
	}
	if err := c.checkIDs(id); err != nil {
		return err
	}
	if err := size.check(); err != nil {
		return c.invalid(err)
	}
	var err error
	c.body, err = json.Marshal(struct {
		ID           string `json:"id"`
		CPUs         int    `json:"cpuNumber"`
		Accelerators int    `json:"gpuNumber"`
		MemoryMB     int    `json:"ramSize"`
	}{id, size.CPUs, size.Accelerators, size.MemoryMB})
	if err != nil {
		return c.invalid(err)
	}
	_, err = r.do(ctx, c)
	return err
}
