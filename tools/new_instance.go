package tools

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// InstanceAsked is what a create asks for.
type InstanceAsked struct {
	TaskType          string          `json:"task_type" jsonschema_description:"How it is reached"`
	AcceleratorType   string          `json:"accelerator_type" jsonschema_description:"Kind of accelerator"`
	Accelerators      int             `json:"accelerators" jsonschema_description:"Accelerators of one container"`
	Containers        int             `json:"containers" jsonschema_description:"Containers"`
	TotalAccelerators int             `json:"total_accelerators" jsonschema_description:"Accelerators of all containers"`
	CPUs              int             `json:"cpus" jsonschema_description:"CPU cores of one container"`
	MemoryMB          int             `json:"memory_mb" jsonschema_description:"Memory of one container"`
	ResourceGroup     string          `json:"resource_group" jsonschema_description:"Resource group"`
	Image             string          `json:"image" jsonschema_description:"Image"`
	TimeLimitSeconds  *int            `json:"time_limit_seconds,omitempty" jsonschema_description:"How long it may run; absent: no limit"`
	Mounts            []toolbox.Mount `json:"mounts,omitempty" jsonschema_description:"Directories that outlive it; absent: none"`
	StartScriptBytes  int             `json:"start_script_bytes,omitempty" jsonschema_description:"Length of the start script; absent: none"`
	Unchecked         []lang.Text     `json:"unchecked,omitempty" jsonschema_description:"What could not be checked"`
}

func askedOf(n scnet.NewInstance, unchecked []lang.Text) InstanceAsked {
	asked := InstanceAsked{
		TaskType: n.TaskType, AcceleratorType: n.AcceleratorType, Accelerators: n.Size.Accelerators, Containers: n.Containers,
		TotalAccelerators: n.Size.Accelerators * n.Containers, CPUs: n.Size.CPUs, MemoryMB: n.Size.MemoryMB,
		ResourceGroup: text.Field(n.ResourceGroup), Image: text.Field(n.Image), Unchecked: unchecked,
	}
	for _, m := range n.Mounts {
		asked.Mounts = append(asked.Mounts,
			toolbox.Mount{Source: text.Field(m.Source), Target: text.Field(m.Target), Type: text.Field(m.Type)})
	}
	if limit, _ := scnet.ParseTimeLimit(n.TimeLimit); limit > 0 {
		seconds := int(limit / time.Second)
		asked.TimeLimitSeconds = &seconds
	}
	if n.StartScript.Enabled {
		asked.StartScriptBytes = len(n.StartScript.Content.Reveal())
	}
	return asked
}

// size words what an instance would take.
func (a InstanceAsked) size() lang.Text {
	each := lang.T("%d CPU cores and %d MB of memory", a.CPUs, a.MemoryMB)
	containers := lang.Count(a.Containers, "container")
	if a.TotalAccelerators == 0 {
		return lang.T("no accelerator, %s with %s each", containers, each)
	}
	return lang.T("%d %s (%s × %d), with %s each", a.TotalAccelerators, a.AcceleratorType, containers, a.Accelerators, each)
}

// createEffect says what would be created, what it takes, until when, and what of it lasts.
func createEffect(region *scnet.Region, n scnet.NewInstance, asked InstanceAsked) lang.Text {
	words := []lang.Text{
		lang.T("would create %q in %s and start it: %s, in resource group %s, %s with image %s. Billing starts when it runs.",
			text.Field(n.Name), region, asked.size(), asked.ResourceGroup, asked.TaskType, asked.Image),
		lang.T("It has no time limit: it costs money until somebody stops it."),
		lang.T("Nothing is mounted: all its files are lost with it."),
	}
	if asked.TimeLimitSeconds != nil {
		words[1] = lang.T("SCNet stops it after %s.", n.TimeLimit)
	}
	if len(n.Mounts) > 0 {
		words[2] = lang.T("Only what is in its mounts outlives it.")
	}
	if asked.StartScriptBytes > 0 {
		words = append(words, lang.T("A start script of %d bytes runs in it at each start.", asked.StartScriptBytes))
	}
	for _, note := range asked.Unchecked {
		words = append(words, lang.T("Note: %s", note))
	}
	return lang.Sentences(words...)
}

// fingerprint binds consent to everything that is asked for: what like adds is in no argument.
func fingerprint(n scnet.NewInstance) string {
	script := sha256.Sum256([]byte(n.StartScript.Content.Reveal()))
	everything, _ := json.Marshal(struct {
		scnet.NewInstance
		Script [32]byte
	}{n, script})
	digest := sha256.Sum256(everything)
	return hex.EncodeToString(digest[:])
}

func mountsOf(mounts []scnet.Mount) (out []toolbox.Mount) {
	for _, m := range mounts {
		out = append(out, toolbox.Mount{Source: m.Source, Target: m.Target, Type: m.Type})
	}
	return out
}

func portsOf(in scnet.Instance) (ports []scnet.NewPort) {
	for _, p := range in.Ports {
		var number int
		if _, err := fmt.Sscanf(p.Container, "%d", &number); err == nil && slices.Contains(scnet.PortProtocols(), p.Protocol) {
			ports = append(ports, scnet.NewPort{Container: number, Protocol: p.Protocol})
		}
	}
	return ports
}

// idsNamed are the ids of the instances that bear a name.
func idsNamed(ctx context.Context, region *scnet.Region, name string) (map[string]bool, error) {
	ids := map[string]bool{}
	for page, err := range region.Pages(ctx, scnet.ListOptions{Name: name, Limit: occupiedPage}) {
		if err != nil {
			return nil, err
		}
		for _, in := range page.Rows {
			if in.Name == name {
				ids[in.ID] = true
			}
		}
	}
	return ids, nil
}
