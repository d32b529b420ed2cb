package scnet

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/lenient"
)

// ResourceGroup is a queue of nodes of one kind.
type ResourceGroup struct {
	Name            string // what create takes
	AcceleratorType string
}

// NodeLimits are what one node of a resource group has, and so what one container can have (page container/resources). A
// number that the service does not tell is 0.
type NodeLimits struct {
	Size
	Nodes   int
	MaxTime string // Unlimited, HH:MM:SS, or "" when the service does not tell
}

// MountDirectory is a directory that instances may mount, with all that is below it.
type MountDirectory struct {
	Path        string
	Type        string // of the mount, as create takes it; may be ""
	Description string
}

// NodeLimits returns the limits of a resource group.
func (r *Region) NodeLimits(ctx context.Context, acceleratorType, group string) (NodeLimits, error) {
	query := url.Values{"acceleratorType": {acceleratorType}, "resourceGroup": {group}}
	c := call{op: opLimits, region: r, method: http.MethodGet, url: "instance-service/resources?" + query.Encode()}
	if acceleratorType == "" || group == "" || len(acceleratorType)+len(group) > maxFilter {
		return NodeLimits{}, c.invalid(lang.Errorf("an accelerator type and a resource group are needed, of %d bytes at most", maxFilter))
	}
	env, err := r.do(ctx, c)
	if err != nil {
		return NodeLimits{}, err
	}
	return decodeLimits(env.Data, acceleratorType), nil
}

// decodeLimits reads what is known of a node. The sample counts accelerators as gpuNumber, whatever their kind, and has zeros
// for the fields of each kind.
func decodeLimits(data json.RawMessage, acceleratorType string) NodeLimits {
	var row struct {
		CPUs    number `json:"cpuNumber"`
		Any     number `json:"gpuNumber"`
		GPUs    number `json:"nvLimits"`
		DCUs    number `json:"dcuLimits"`
		MLUs    number `json:"mluLimits"`
		Memory  number `json:"memorySize"`
		Nodes   number `json:"nodeNumber"`
		MaxTime text   `json:"maxTime"`
	}
	_ = lenient.Unmarshal(data, &row) // fails for what is not an object, of which nothing is known
	accelerators := row.Any
	if own := map[string]number{"gpu": row.GPUs, "dcu": row.DCUs, "mlu": row.MLUs}[acceleratorType]; accelerators <= 0 {
		accelerators = own
	}
	count := func(n number) int { return int(max(n, 0)) }
	return NodeLimits{
		Size:  Size{CPUs: count(row.CPUs), Accelerators: count(accelerators), MemoryMB: count(row.Memory)},
		Nodes: count(row.Nodes), MaxTime: string(row.MaxTime),
	}
}

// ResourceGroups returns the region's resource groups (page container/group). The page does not show what an answer looks
// like; known is false when some of it was not understood, so that there may be groups that are not among those returned.
func (r *Region) ResourceGroups(ctx context.Context) (groups []ResourceGroup, known bool, err error) {
	elements, known, err := r.elements(ctx, opGroups, "instance-service/resource-group")
	for _, e := range elements {
		var row struct {
			Name            text `json:"name"`
			ResourceGroup   text `json:"resourceGroup"`
			AcceleratorType text `json:"acceleratorType"`
		}
		name := e.textOr(&row, &row.Name, &row.ResourceGroup)
		group := ResourceGroup{Name: name, AcceleratorType: string(firstText(row.AcceleratorType, text(e.key)))}
		if group.Name == "" {
			known = false
			continue
		}
		if !slices.Contains(groups, group) {
			groups = append(groups, group)
		}
	}
	return groups, known, err
}

// MountDirectories returns the directories that the account may mount in the region (page container/allowed-mount-dir). The
// page does not show what an answer looks like; known is as that of ResourceGroups.
func (r *Region) MountDirectories(ctx context.Context) (directories []MountDirectory, known bool, err error) {
	elements, known, err := r.elements(ctx, opMounts, "instance-service/allowed-mount-dir")
	for _, e := range elements {
		var row struct {
			Path        text `json:"path"`
			SourcePath  text `json:"sourcePath"`
			MountType   text `json:"mountType"`
			Type        text `json:"type"`
			Description text `json:"description"`
		}
		path := e.textOr(&row, &row.Path, &row.SourcePath)
		if path == "" || path[0] != '/' {
			known = false
			continue
		}
		directories = append(directories, MountDirectory{
			Path: path, Type: string(firstText(row.MountType, row.Type, text(e.key))), Description: string(row.Description),
		})
	}
	return directories, known, err
}

// element is an entry of a list whose shape no page shows, with the key of the list if it is one of several.
type element struct {
	key string
	raw json.RawMessage
}

// elements asks for a list whose shape no page shows.
func (r *Region) elements(ctx context.Context, op, url string) (elements []element, known bool, err error) {
	env, err := r.do(ctx, call{op: op, region: r, method: http.MethodGet, url: url})
	if err != nil {
		return nil, false, err
	}
	elements, known = elementsOf(env.Data)
	return elements, known, nil
}

// textOr returns an entry that is a string. Any other is decoded into row, of which the first field that is set counts.
func (e element) textOr(row any, fields ...*text) string {
	var t string
	if lenient.Unmarshal(e.raw, &t) == nil {
		return t
	}
	_ = lenient.Unmarshal(e.raw, row) // fails for what is not an object, of which nothing is known
	for _, field := range fields {
		if *field != "" {
			return string(*field)
		}
	}
	return ""
}

// elementsOf takes the shapes that clients expect: a list, or an object of lists. known is false for anything else.
func elementsOf(data json.RawMessage) (elements []element, known bool) {
	var plain []json.RawMessage
	if isNull(data) {
		return nil, false
	}
	if lenient.Unmarshal(data, &plain) == nil {
		for _, raw := range plain {
			elements = append(elements, element{raw: raw})
		}
		return elements, true
	}
	var keyed map[string]json.RawMessage
	if lenient.Unmarshal(data, &keyed) != nil {
		return nil, false
	}
	known = true
	for _, key := range slices.Sorted(maps.Keys(keyed)) {
		var list []json.RawMessage
		if lenient.Unmarshal(keyed[key], &list) != nil {
			known = false
			continue
		}
		for _, raw := range list {
			elements = append(elements, element{key, raw})
		}
	}
	return elements, known
}

func firstText(texts ...text) text {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
