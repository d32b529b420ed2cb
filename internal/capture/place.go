package capture

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// errUnsuited says why a directory cannot take a run.
var errUnsuited = lang.Errorf("it cannot take output")

// bases returns the directories that may take the runs of an instance, the likeliest first: wanted if there is one, else what
// the instance mounts and the home.
func bases(in scnet.Instance, home, wanted string) []string {
	if wanted != "" {
		return []string{wanted}
	}
	var out []string
	add := func(dir string) {
		if dir = path.Clean(dir); !slices.Contains(out, dir) {
			out = append(out, dir)
		}
	}
	for _, m := range in.Mounts {
		if home != "" && within(home, m.Source) {
			add(home)
		}
	}
	for _, data := range []bool{false, true} { // data sets may not be writable
		for _, m := range in.Mounts {
			if (m.Type == "data") == data && m.Source != "" && (home == "" || !within(home, m.Source)) {
				add(m.Source)
			}
		}
	}
	if home != "" {
		add(home)
	}
	return out
}

// within reports whether dir is parent or below it.
func within(dir, parent string) bool {
	dir, parent = path.Clean(dir), path.Clean(parent)
	return dir == parent || strings.HasPrefix(dir, strings.TrimSuffix(parent, "/")+"/")
}

// CheckBase refuses a directory whose name could become anything else on the way to the service or through a shell.
func CheckBase(dir string) error {
	if !pathPattern().MatchString(dir) || path.Clean(dir) != dir || len(dir) > 512 {
		return lang.Errorf("%q is not an absolute path of letters, digits and . _ @ %% + = : - alone", text.Line(dir, 80))
	}
	return nil
}

// inside returns where a directory outside may be in a container: below the target of a mount, or at the same path.
func inside(in scnet.Instance, run string, id ID) []string {
	var out []string
	add := func(dir string) {
		if pathPattern().MatchString(dir) && path.Clean(dir) == dir && !slices.Contains(out, dir) {
			out = append(out, dir)
		}
	}
	for _, m := range in.Mounts {
		if m.Target != "" && within(run, m.Source) {
			add(path.Join(m.Target, strings.TrimPrefix(run, path.Clean(m.Source))))
		}
	}
	add(run)
	add("/root/private_data/" + id.folder())
	return out
}

// suits looks whether base can take runs, and changes nothing. That it can be written is shown only by writing.
func suits(ctx context.Context, files *scnet.Files, base string) error {
	if err := CheckBase(base); err != nil {
		return lang.Errorf("%w: %w", errUnsuited, err)
	}
	if files.User == "" {
		return lang.Errorf("%w: the service does not tell the cluster user", errUnsuited)
	}
	for _, part := range []string{".scnet-mcp", "runs"} {
		found, err := files.List(ctx, base)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(found, func(f scnet.File) bool { return f.Name == part })
		if i < 0 {
			return nil // it will be made
		}
		base += "/" + part
		if err := private(found[i], files.User); err != nil {
			return lang.Errorf("%w: %s %w", errUnsuited, base, err)
		}
	}
	return nil
}

// private refuses a directory in which somebody else could plant something.
func private(f scnet.File, user string) error {
	switch {
	case f.Symlink || !f.Directory:
		return lang.Errorf("is not a directory of its own")
	case f.Owner != user:
		return lang.Errorf("belongs to %q", text.Line(f.Owner, 40))
	case len(f.Permission) != len("rwxrwxrwx") || f.Permission[4] == 'w' || f.Permission[7] == 'w':
		return lang.Errorf("can be written by others; take that right away with chmod go-w")
	}
	return nil
}
