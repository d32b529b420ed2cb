package tools

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/schemas"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// ProvisionToolset names the tools that make instances and change what they have.
const ProvisionToolset = "provision"

// Limits of looking for an image.
const (
	imagePage  = 100
	imagesSeen = 1000 // beyond that the list is not known to the end
	suggested  = 10   // valid values that a problem names
)

// groupLimits is a resource group with what one of its nodes has.
type groupLimits struct {
	scnet.ResourceGroup
	limits scnet.NodeLimits
	err    error // why the limits are not known
}

// groupsOf returns the resource groups of a region with their limits; known is false if there may be others.
func groupsOf(ctx context.Context, region *scnet.Region) (groups []groupLimits, known bool, err error) {
	plain, known, err := region.ResourceGroups(ctx)
	if err != nil {
		return nil, false, err
	}
	groups = make([]groupLimits, len(plain))
	err = lookUp(ctx, len(plain), func(i int) error {
		groups[i].ResourceGroup = plain[i]
		groups[i].limits, groups[i].err = region.NodeLimits(ctx, plain[i].AcceleratorType, plain[i].Name)
		return nil
	})
	return groups, known, err
}

// request is what a create or resize asks for, with what is wrong with it: everything is named at once, with what is valid.
type request struct {
	problems []schemas.Problem
	notes    []lang.Text // what could not be checked
}

func (r *request) wrong(argument, format string, args ...any) {
	r.problems = append(r.problems, schemas.Problem{Path: argument, Text: lang.T(format, args...)})
}

func (r *request) note(format string, args ...any) {
	r.notes = append(r.notes, lang.T(format, args...))
}

// err returns what is wrong, or nil.
func (r *request) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	return &schemas.ArgumentError{Problems: r.problems}
}

// checkGroup holds what each container is to have, and how long it is to run, to the limits of a resource group.
func (r *request) checkGroup(
	ctx context.Context, region *scnet.Region, kind, group string, size scnet.Size, timeLimit string,
) error {
	r.checkSize(kind, size)
	groups, known, err := region.ResourceGroups(ctx)
	if err != nil {
		return err
	}
	fits := func(g scnet.ResourceGroup) bool {
		return g.Name == group && (g.AcceleratorType == kind || g.AcceleratorType == "")
	}
	if group != "" && kind != "" && !slices.ContainsFunc(groups, fits) {
		if known {
			r.wrong("resource_group", "there is no %q for %s; valid are %s", text.Field(group), kind, groupNames(groups))
			return nil
		}
		r.note("The region's resource groups are not all known, so whether %q is one of them was not checked.", text.Field(group))
	}
	if group == "" || kind == "" {
		return nil // it is missing, which is named elsewhere
	}
	limits, err := region.NodeLimits(ctx, kind, group)
	var failed *upstream.Failure
	if errors.As(err, &failed) && failed.Kind == upstream.Refused {
		r.note("The service tells no limits of %q: %s.", text.Field(group), toolbox.Briefly(err))
		return nil
	}
	if err != nil {
		return err
	}
	r.checkLimits(group, limits, size, timeLimit)
	return nil
}

func (r *request) checkSize(kind string, size scnet.Size) {
	if kind == "cpu" && size.Accelerators > 0 {
		r.wrong("accelerators", "must be 0 for cpu, got %d", size.Accelerators)
	}
	if kind != "cpu" && kind != "" && size.Accelerators == 0 {
		r.note("Its containers have no accelerator, although the group is for %s.", kind)
	}
}

func (r *request) checkLimits(group string, limits scnet.NodeLimits, size scnet.Size, timeLimit string) {
	for _, each := range []struct {
		argument      string
		what          lang.Text
		wanted, limit int
	}{
		{"cpus", lang.T("CPU cores"), size.CPUs, limits.CPUs},
		{"accelerators", lang.T("accelerators"), size.Accelerators, limits.Accelerators},
		{"memory_mb", lang.T("MB of memory"), size.MemoryMB, limits.MemoryMB},
	} {
		if each.limit > 0 && each.wanted > each.limit {
			r.wrong(each.argument, "%d in one container; a node of %s has %d %s", each.wanted, text.Field(group), each.limit, each.what)
		}
	}
	most, known := scnet.ParseTimeLimit(limits.MaxTime)
	wanted, given := scnet.ParseTimeLimit(timeLimit)
	if known && most > 0 && given && (wanted == 0 || wanted > most) {
		r.wrong("time_limit", "%s; %s allows %s at most", timeLimit, text.Field(group), scnet.TimeLimit(most))
	}
	if limits.CPUs == 0 || limits.MemoryMB == 0 {
		r.note("The service does not tell all limits of %s, so they were not all checked.", text.Field(group))
	}
}

func groupNames(groups []scnet.ResourceGroup) lang.Text {
	var names []lang.Text
	for _, g := range groups {
		names = append(names, lang.T("%q for %s", text.Field(g.Name), text.Dash(text.Field(g.AcceleratorType))))
	}
	if len(names) == 0 {
		return lang.T("none")
	}
	return lang.List(names...)
}

// checkMounts holds mounts to the directories that may be mounted, and gives those without a type that of their directory.
func (r *request) checkMounts(ctx context.Context, region *scnet.Region, mounts []scnet.Mount) error {
	if len(mounts) == 0 {
		return nil
	}
	directories, known, err := region.MountDirectories(ctx)
	if err != nil {
		return err
	}
	targets := map[string]bool{}
	for i := range mounts {
		m := &mounts[i]
		argument := fmt.Sprintf("mounts[%d]", i)
		if !path.IsAbs(m.Target) || path.Clean(m.Target) == "/" || targets[path.Clean(m.Target)] {
			r.wrong(argument+".target", "must be an absolute path below /, each once, got %q", text.Field(m.Target))
		}
		targets[path.Clean(m.Target)] = true
		j := slices.IndexFunc(directories, func(d scnet.MountDirectory) bool { return below(m.Source, d.Path) })
		switch {
		case j >= 0:
			if m.Type == "" {
				m.Type = directories[j].Type
			}
		case known || !path.IsAbs(m.Source):
			r.wrong(argument+".source", "%q cannot be mounted; valid are %s and what is below them", text.Field(m.Source), directoryNames(directories))
			continue
		default:
			r.note("The mountable directories are not all known, so %q was not checked.", text.Field(m.Source))
		}
		if !slices.Contains(scnet.MountTypes(), m.Type) {
			r.wrong(argument+".type", "must be one of %s, got %q", strings.Join(scnet.MountTypes(), ", "), text.Field(m.Type))
		}
	}
	return nil
}

// below reports whether a path is a directory or in it. One that climbs is in none.
func below(name, directory string) bool {
	directory = path.Clean(directory)
	clean := path.Clean(name)
	return clean == strings.TrimSuffix(name, "/") && (clean == directory || strings.HasPrefix(clean, strings.TrimSuffix(directory, "/")+"/"))
}

func directoryNames(directories []scnet.MountDirectory) lang.Text {
	var names []string
	for _, d := range directories {
		names = append(names, text.Field(d.Path))
	}
	if len(names) == 0 {
		return lang.T("none")
	}
	return lang.Names(names)
}

// images is what is known of a region's images of one kind.
type images struct {
	rows  []scnet.Image
	known bool // there are no others
}

// imagesFor returns the images for a kind of accelerator whose name has a part, offered to all or the account's own.
func imagesFor(ctx context.Context, region *scnet.Region, kind, name string) (found images, err error) {
	found.known = true
	for _, private := range []bool{false, true} {
		for page, err := range region.ImagePages(ctx,
			scnet.ImageOptions{Private: private, AcceleratorType: kind, Name: name, Limit: imagePage}) {
			switch {
			case errors.Is(err, scnet.ErrMalformed), errors.Is(err, scnet.ErrRepeatedRows):
				found.known = false
			case err != nil:
				return found, err
			}
			found.rows = append(found.rows, page.Rows...)
			found.known = found.known && page.Nameless == 0
			if len(found.rows) >= imagesSeen {
				found.known = false
				return found, nil
			}
		}
	}
	return found, nil
}

// checkImage finds the image that is meant by its name, and by its path where several have the name.
func (r *request) checkImage(ctx context.Context, region *scnet.Region, n *scnet.NewInstance, copied bool) error {
	if n.Image == "" && n.ImagePath == "" {
		return nil // it is missing, which is named elsewhere
	}
	found, err := imagesFor(ctx, region, n.AcceleratorType, n.Image)
	if err != nil {
		return err
	}
	var matches []scnet.Image
	for _, image := range found.rows {
		if (n.Image == "" || image.Name == n.Image) && (n.ImagePath == "" || image.Path == n.ImagePath) &&
			(image.AcceleratorType == n.AcceleratorType || image.AcceleratorType == "") {
			matches = append(matches, image)
		}
	}
	switch {
	case len(matches) == 1:
		n.Image, n.ImagePath = matches[0].Name, matches[0].Path
	case len(matches) > 1 && n.ImagePath == "":
		r.wrong("image_path", "is needed, because several images are called %q: %s", text.Field(n.Image), imageNames(matches, true))
	case len(matches) > 1: // public and private lists may show the same one
	case n.Image != "" && n.ImagePath != "" && (copied || !found.known):
		r.note("The image %q is not among those that the region lists for %s.", text.Field(n.Image), n.AcceleratorType)
	case !found.known:
		r.wrong("image_path", "is needed with image, because the region's images cannot be read to the end")
	default:
		all, err := imagesFor(ctx, region, n.AcceleratorType, "")
		if err != nil {
			return err
		}
		r.wrong("image", "there is no %q for %s; valid are %s", text.Field(firstOf(n.Image, n.ImagePath)), n.AcceleratorType,
			imageNames(all.rows, false))
	}
	return nil
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func imageNames(rows []scnet.Image, paths bool) lang.Text {
	var names []lang.Text
	for i, image := range rows {
		if i == suggested {
			names = append(names, lang.T("and %d more, which list_resources shows", len(rows)-suggested))
			break
		}
		name := text.Field(image.Name)
		if paths {
			name = text.Field(image.Path)
		}
		names = append(names, lang.Verbatim(name))
	}
	if len(names) == 0 {
		return lang.T("none")
	}
	return lang.List(names...)
}

// units are the words that people write after a number in a time limit, the longer before the shorter, and what time.Duration
// calls them; but d, which it does not know.
var units = strings.NewReplacer("个小时", "h", "小时", "h", "分钟", "m", "秒钟", "s", "天", "d", "日", "d", "时", "h", "分", "m",
	"秒", "s", "不限时", scnet.Unlimited, "不限", scnet.Unlimited, "无限制", scnet.Unlimited)

// spell reads a time limit as people write it: HH:MM:SS, unlimited, 90m, 36h, 3d, 1d12h, 1天, 12小时, 90分钟.
func spell(limit string) (string, bool) {
	limit = units.Replace(strings.Join(strings.Fields(strings.ToLower(limit)), ""))
	if _, known := scnet.ParseTimeLimit(limit); known {
		return limit, true
	}
	total := time.Duration(0)
	if days, rest, found := strings.Cut(limit, "d"); found {
		const most = time.Duration(math.MaxInt64) / 24
		d, err := time.ParseDuration(days + "h")
		if err != nil || d < 0 || d > most || strings.ContainsAny(days, "hmsuµn") { // 2h3d says neither
			return "", false
		}
		if total, limit = 24*d, rest; rest == "" {
			limit = "0"
		}
	}
	d, err := time.ParseDuration(limit)
	if err != nil || d < 0 || total+d < time.Second { // which also finds a sum that is too large
		return "", false
	}
	spelt := scnet.TimeLimit(total + d)
	if _, known := scnet.ParseTimeLimit(spelt); !known {
		return "", false
	}
	return spelt, true
}
