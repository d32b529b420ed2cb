package capture

import (
	"context"
	"errors"
	"strconv"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// ErrNoRun says that no run with the id was found.
var ErrNoRun = lang.Errorf("no such run")

// NoRunError is ErrNoRun with the directories that the file service may not look into: the run may be there.
type NoRunError struct{ Closed []string }

// Error names them.
func (e *NoRunError) Error() string { return e.In(lang.English) }

// In says it in a language.
func (e *NoRunError) In(l lang.Lang) string {
	if len(e.Closed) == 0 {
		return l.Say(ErrNoRun)
	}
	return l.Sprintf("the file service may not look into %s", lang.Names(e.Closed))
}

// Unwrap returns ErrNoRun.
func (e *NoRunError) Unwrap() error { return ErrNoRun }

// search is the search for a run in one region.
type search struct {
	region    *scnet.Region
	id        ID
	addresses []*scnet.Files // what one of them shows may not show at another one yet
	tried     map[string]bool
	closed    []string
}

// Lookup finds a run in a region: below wanted if that is given, else in the home or below what an instance mounts. It is
// read at the address that shows it.
func Lookup(ctx context.Context, region *scnet.Region, id ID, wanted string) (*Run, error) {
	files, err := region.Files(ctx)
	if err != nil {
		return nil, err
	}
	s := &search{region: region, id: id, addresses: files.Addresses(), tried: map[string]bool{}}
	if wanted != "" {
		if err := CheckBase(wanted); err != nil {
			return nil, err
		}
		return s.result(s.below(ctx, []string{wanted}))
	}
	if run, err := s.below(ctx, bases(scnet.Instance{}, files.Home, "")); run != nil || err != nil {
		return run, err
	}
	for page, err := range region.Pages(ctx, scnet.ListOptions{Limit: 100}) {
		if err != nil {
			return nil, err
		}
		for _, in := range page.Rows {
			if run, err := s.below(ctx, bases(in, files.Home, "")); run != nil || err != nil {
				return run, err
			}
		}
	}
	return s.result(nil, nil)
}

func (s *search) result(run *Run, err error) (*Run, error) {
	if run == nil && err == nil {
		err = &NoRunError{Closed: s.closed}
	}
	return run, err
}

// below returns nothing if the run is not below any of the directories.
func (s *search) below(ctx context.Context, bases []string) (*Run, error) {
	for _, base := range bases {
		if s.tried[base] || CheckBase(base) != nil {
			continue
		}
		s.tried[base] = true
		for i, files := range s.addresses {
			run, err := s.at(ctx, files, base)
			switch {
			case run != nil:
				return run, nil
			case errors.Is(err, scnet.ErrNoAccess):
				if i == 0 {
					s.closed = append(s.closed, base)
				}
			case err != nil && i == 0: // another address is a second chance, and its trouble no news
				return nil, err
			}
		}
	}
	return nil, nil
}

// at looks for the run below base at one address, which returns nothing if it is not there.
func (s *search) at(ctx context.Context, files *scnet.Files, base string) (*Run, error) {
	run := &Run{ID: s.id, Dir: base + "/" + s.id.folder(), region: s.region, files: files}
	found, err := files.List(ctx, run.Dir)
	switch {
	case errors.Is(err, scnet.ErrNoFile), errors.Is(err, scnet.ErrNotFolder):
		return nil, nil
	case err != nil:
		return nil, err
	}
	for _, f := range found {
		if !f.Regular || f.Symlink {
			continue
		}
		if parts := labelPattern().FindStringSubmatch(f.Name); parts != nil {
			run.InstanceID = parts[1]
			run.Containers, _ = strconv.Atoi(parts[2])
		}
		run.accepted = run.accepted || f.Name == acceptance
	}
	if run.InstanceID == "" || run.Containers < 1 {
		return nil, nil
	}
	return run, nil
}
