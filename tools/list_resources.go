package tools

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// ListResourcesInput are the arguments of list_resources.
type ListResourcesInput struct {
	Kind            string `json:"kind" jsonschema:"enum=groups,enum=mounts,enum=images" jsonschema_description:"Resource groups (资源组), mountable directories (挂载), images (镜像)"`
	Region          string `json:"region,omitempty" jsonschema_description:"Region id or name"`
	AcceleratorType string `json:"accelerator_type,omitempty" jsonschema:"enum=dcu,enum=gpu,enum=mlu,enum=cpu" jsonschema_description:"Only for it"`
	Name            string `json:"name,omitempty" jsonschema_description:"Part of it"`
	Private         bool   `json:"private,omitempty" jsonschema_description:"The account's own images"`
	Start           int    `json:"start,omitempty" jsonschema:"minimum=0" jsonschema_description:"Rows to skip"`
	Limit           int    `json:"limit,omitempty" jsonschema:"minimum=1,maximum=100,default=20" jsonschema_description:"Rows"`
}

// ListResourcesOutput is the result of list_resources.
type ListResourcesOutput struct {
	Kind       string          `json:"kind" jsonschema_description:"As asked for"`
	Region     string          `json:"region" jsonschema_description:"Region id"`
	RegionName string          `json:"region_name,omitempty" jsonschema_description:"Region name"`
	Total      *int            `json:"total,omitempty" jsonschema_description:"All that match; absent: not known"`
	Start      int             `json:"start" jsonschema_description:"Rows skipped"`
	Returned   int             `json:"returned" jsonschema_description:"Rows in this answer"`
	NextStart  int             `json:"next_start,omitempty" jsonschema_description:"Absent at the end"`
	Groups     []GroupItem     `json:"groups,omitempty" jsonschema_description:"Resource groups"`
	Mounts     []DirectoryItem `json:"mounts,omitempty" jsonschema_description:"Directories that may be mounted, with all below them"`
	Images     []ImageItem     `json:"images,omitempty" jsonschema_description:"Images"`
	Notes      []lang.Text     `json:"notes,omitempty" jsonschema_description:"What to know"`
	Next       lang.Text       `json:"next,omitzero" jsonschema_description:"The next step"`
}

// GroupItem is a resource group. Its numbers are the limits of one node, and so of one container.
type GroupItem struct {
	Name             string    `json:"resource_group" jsonschema_description:"As create_instance takes it"`
	AcceleratorType  string    `json:"accelerator_type,omitempty" jsonschema_description:"Kind of accelerator"`
	Accelerators     int       `json:"accelerators,omitempty" jsonschema_description:"Accelerators of one node; absent: none, or not known"`
	CPUs             int       `json:"cpus,omitempty" jsonschema_description:"CPU cores of one node; absent: not known"`
	MemoryMB         int       `json:"memory_mb,omitempty" jsonschema_description:"Memory of one node; absent: not known"`
	Nodes            int       `json:"nodes,omitempty" jsonschema_description:"Nodes; absent: not known"`
	TimeLimitSeconds *int      `json:"time_limit_seconds,omitempty" jsonschema_description:"How long an instance may run at most; absent: no limit, or not known"`
	Unlimited        bool      `json:"unlimited" jsonschema_description:"An instance may run without a time limit"`
	Note             lang.Text `json:"note,omitzero" jsonschema_description:"Why the limits are not known"`
}

// DirectoryItem is a directory that may be mounted.
type DirectoryItem struct {
	Path        string `json:"path" jsonschema_description:"Source of a mount, or a directory above it"`
	Type        string `json:"type,omitempty" jsonschema_description:"Type of the mount"`
	Description string `json:"description,omitempty" jsonschema_description:"The service's words"`
}

// ImageItem is an image.
type ImageItem struct {
	Name            string `json:"image" jsonschema_description:"Name and tag, as create_instance takes it"`
	Path            string `json:"image_path" jsonschema_description:"Tells images of one name apart"`
	Type            string `json:"type,omitempty" jsonschema_description:"JupyterLab, CodeServer, RStudio, Base or another"`
	AcceleratorType string `json:"accelerator_type,omitempty" jsonschema_description:"Kind of accelerator"`
	Private         bool   `json:"private" jsonschema_description:"Of the account itself"`
	Status          string `json:"status,omitempty" jsonschema_description:"Status, in the service's words"`
	Owner           string `json:"owner,omitempty" jsonschema_description:"Owner"`
	Description     string `json:"description,omitempty" jsonschema_description:"Its owner's words"`
}

func (s Instances) listResources() toolbox.Tool {
	return toolbox.Read(toolbox.Tool{
		Name: "list_resources",
		Title: "List available images, GPU types, resource groups and limits per node, mountable directories " +
			"(有哪些镜像, 资源组, 显卡类型, 每个节点的限制, 可以挂载的目录)",
		Example: "kind=images accelerator_type=dcu",
		Toolset: ProvisionToolset,
		Risk:    guard.Read,
		Description: "Lists what create_instance can use on SCNet (资源): resource groups with their limits, mountable directories, images. " +
			"SCNet does not tell how many accelerators are free.",
	}, s.readResources, s.options()...)
}

func (s Instances) readResources(ctx context.Context, in ListResourcesInput) (ListResourcesOutput, error) {
	region, err := s.region(ctx, in.Region)
	if err != nil {
		return ListResourcesOutput{}, err
	}
	at := place(region)
	out := ListResourcesOutput{Kind: in.Kind, Region: text.Field(at.ID), RegionName: text.Field(at.Name), Start: in.Start}
	in.Limit = cmp.Or(in.Limit, defaultLimit)
	switch in.Kind {
	case "groups":
		err = out.readGroups(ctx, region, in)
	case "mounts":
		err = out.readMounts(ctx, region, in)
	default:
		err = out.readImages(ctx, region, in)
	}
	out.Next = nextPage(out.NextStart)
	return out, err
}

func (out *ListResourcesOutput) note(format string, args ...any) {
	out.Notes = append(out.Notes, lang.T(format, args...))
}

func (out *ListResourcesOutput) readGroups(ctx context.Context, region *scnet.Region, in ListResourcesInput) error {
	groups, known, err := groupsOf(ctx, region)
	if err != nil {
		return err
	}
	var rows []GroupItem
	for _, g := range groups {
		if in.AcceleratorType != "" && g.AcceleratorType != "" && g.AcceleratorType != in.AcceleratorType ||
			!holds(g.Name, in.Name) {
			continue
		}
		item := GroupItem{
			Name: text.Field(g.Name), AcceleratorType: text.Field(g.AcceleratorType), Accelerators: g.limits.Accelerators,
			CPUs: g.limits.CPUs, MemoryMB: g.limits.MemoryMB, Nodes: g.limits.Nodes,
		}
		if most, ok := scnet.ParseTimeLimit(g.limits.MaxTime); ok && most > 0 {
			n := int(most / time.Second)
			item.TimeLimitSeconds = &n
		} else {
			item.Unlimited = ok
		}
		if g.err != nil {
			item.Note = toolbox.Briefly(g.err)
		}
		rows = append(rows, item)
	}
	out.Groups = window(out, rows, in)
	if !known {
		out.note("The service's answer was not understood in full, so there may be other resource groups.")
	}
	return nil
}

func (out *ListResourcesOutput) readMounts(ctx context.Context, region *scnet.Region, in ListResourcesInput) error {
	directories, known, err := region.MountDirectories(ctx)
	if err != nil {
		return err
	}
	var rows []DirectoryItem
	for _, d := range directories {
		if holds(d.Path, in.Name) {
			rows = append(rows, DirectoryItem{text.Field(d.Path), text.Field(d.Type), text.Field(d.Description)})
		}
	}
	out.Mounts = window(out, rows, in)
	if !known {
		out.note("The service's answer was not understood in full, so there may be other directories.")
	}
	return nil
}

func (out *ListResourcesOutput) readImages(ctx context.Context, region *scnet.Region, in ListResourcesInput) error {
	options := scnet.ImageOptions{
		Private: in.Private, Name: in.Name, AcceleratorType: in.AcceleratorType, Start: in.Start, Limit: in.Limit,
	}
	passed, total := 0, -1
	for page, err := range region.ImagePages(ctx, options) {
		if errors.Is(err, scnet.ErrRepeatedRows) || errors.Is(err, scnet.ErrIgnoresStart) {
			out.note("The service repeated rows instead of going on, so rows are missing here. Narrow the list with name.")
			break
		}
		if err != nil {
			return err
		}
		total = page.Total
		rows := page.Rows[:min(len(page.Rows), in.Limit-len(out.Images))]
		for _, image := range rows {
			out.Images = append(out.Images, ImageItem{
				Name: text.Field(image.Name), Path: text.Field(image.Path), Type: text.Field(image.Type),
				AcceleratorType: text.Field(image.AcceleratorType), Private: image.Private, Status: text.Field(image.Status),
				Owner: text.Field(image.Owner), Description: text.Field(image.Description),
			})
		}
		if page.Nameless > 0 {
			out.note("The service sent %d images without a name or a path; they are not shown.", page.Nameless)
		}
		if len(rows) < len(page.Rows) {
			passed += len(rows)
			break
		}
		if passed += page.Received; len(out.Images) == in.Limit {
			break
		}
	}
	out.Returned = len(out.Images)
	if total >= 0 {
		out.Total = &total
	}
	if next := in.Start + passed; out.Returned > 0 && (total > next || total < 0 && out.Returned == in.Limit) {
		out.NextStart = next
	}
	if !in.Private {
		out.note("These are public images; private=true lists the account's own.")
	}
	return nil
}

// window takes the rows that are asked for, of a list that the service sends whole.
func window[T any](out *ListResourcesOutput, rows []T, in ListResourcesInput) []T {
	total := len(rows)
	from := min(in.Start, total)
	to := min(from+in.Limit, total)
	out.Total, out.Returned = &total, to-from
	if to < total {
		out.NextStart = to
	}
	return rows[from:to]
}

// Text is the compact table.
func (out ListResourcesOutput) Text(l lang.Lang) string {
	var b strings.Builder
	what := lang.T("images")
	switch out.Kind {
	case "groups":
		what = lang.T("resource groups")
	case "mounts":
		what = lang.T("mountable directories")
	}
	l.Fprintf(&b, "%s.\n",
		pageIn(toolbox.Place{ID: out.Region, Name: out.RegionName}.String(), what, out.Start, out.Returned, out.Total))
	var rows [][]string
	var widths []int
	switch {
	case out.Returned == 0:
	case out.Kind == "groups":
		rows = [][]string{l.Words("GROUP", "TYPE", "ACCELERATORS", "CPUS", "MEMORY MB", "NODES", "TIME LIMIT", "NOTE")}
		widths = []int{32, 8, 12, 8, 12, 8, 14, 60}
		for _, g := range out.Groups {
			rows = append(rows,
				[]string{g.Name, text.Dash(g.AcceleratorType), number(g.Accelerators), number(g.CPUs), number(g.MemoryMB),
					number(g.Nodes), g.timeLimit(), text.Dash(g.Note.In(l))})
		}
		l.Fprintf(&b, "The numbers are the limits of one node, and so of one container.\n")
	case out.Kind == "mounts":
		rows, widths = [][]string{l.Words("PATH", "TYPE", "DESCRIPTION")}, []int{80, 8, 40}
		for _, d := range out.Mounts {
			rows = append(rows, []string{d.Path, text.Dash(d.Type), text.Dash(d.Description)})
		}
	default:
		rows = [][]string{l.Words("IMAGE", "TYPE", "FOR", "STATUS", "OWNER", "PATH", "DESCRIPTION")}
		widths = []int{80, 12, 6, 12, 16, 200, 40}
		for _, i := range out.Images {
			rows = append(rows, []string{i.Name, text.Dash(i.Type), text.Dash(i.AcceleratorType), text.Dash(i.Status),
				text.Dash(i.Owner), i.Path, text.Dash(i.Description)})
		}
	}
	if rows != nil {
		text.WriteTable(&b, rows, widths)
	}
	for _, note := range out.Notes {
		l.Fprintf(&b, "Note: %s\n", note)
	}
	b.WriteString(out.Next.In(l))
	return strings.TrimSuffix(b.String(), "\n")
}

func (g GroupItem) timeLimit() string {
	switch {
	case g.TimeLimitSeconds != nil:
		return scnet.TimeLimit(time.Duration(*g.TimeLimitSeconds) * time.Second)
	case g.Unlimited:
		return scnet.Unlimited
	}
	return "-"
}

// number words a number that is 0 when it is not known.
func number(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}
