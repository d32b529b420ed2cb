// Package userstate keeps in a file what the processes of one user share: the key of preview tokens, which of them were used,
// and what was spent. A client may start a process for every call.
package userstate

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

// Store is a guard.State in a folder of the user's, which is made when it is first used. Where that cannot be written to, the
// Store says so once in the log, and is the memory of this process alone. It is safe for concurrent use.
type Store struct {
	folder func() (string, error)
	now    func() time.Time

	once   sync.Once
	file   *file // nil: there is only memory
	memory *guard.Memory
	key    []byte // beside memory
}

// New returns the Store in the folder that folder names when the Store is first used.
func New(folder func() (string, error), now func() time.Time) *Store {
	return &Store{folder: folder, now: now}
}

// open returns the file, or nil when there is only memory.
func (s *Store) open(ctx context.Context) *file {
	s.once.Do(func() {
		folder, err := s.folder()
		if err == nil {
			s.file, err = openFile(folder, s.now)
		}
		if err != nil {
			s.file, s.memory, s.key = nil, guard.NewMemory(s.now), make([]byte, keyBytes)
			_, _ = rand.Read(s.key) // never fails
			zerolog.Ctx(ctx).Warn().Err(err).Msg("the state directory cannot be used: preview tokens and the hourly limit hold for this process only")
		}
	})
	return s.file
}

// Key returns the key of the user's tokens.
func (s *Store) Key(ctx context.Context) ([]byte, error) {
	f := s.open(ctx)
	if f == nil {
		return s.key, nil
	}
	c, err := f.look(ctx)
	if err != nil {
		return nil, fault(err)
	}
	return c.Key, nil
}

// Epoch implements guard.State.
func (s *Store) Epoch(ctx context.Context) (id string, began time.Time, err error) {
	f := s.open(ctx)
	if f == nil {
		return s.memory.Epoch(ctx)
	}
	c, err := f.look(ctx)
	if err != nil {
		return "", time.Time{}, fault(err)
	}
	return c.Epoch, time.UnixMilli(c.Began), nil
}

// Claim implements guard.State.
func (s *Store) Claim(ctx context.Context, key string, until time.Time) (won bool, err error) {
	f := s.open(ctx)
	if f == nil {
		return s.memory.Claim(ctx, key, until)
	}
	err = f.change(ctx, func(c *contents) error {
		if _, taken := c.Claims[key]; taken || !f.now().Before(until) {
			return errUnchanged
		}
		c.Claims[key] = until.UnixMilli()
		return nil
	})
	if err == errUnchanged { //nolint:errorlint // the very error
		return false, nil
	}
	return err == nil, fault(err)
}

// Claimed implements guard.State.
func (s *Store) Claimed(ctx context.Context, key string) (bool, error) {
	f := s.open(ctx)
	if f == nil {
		return s.memory.Claimed(ctx, key)
	}
	c, err := f.look(ctx)
	if err != nil {
		return false, fault(err)
	}
	until, taken := c.Claims[key]
	return taken && f.now().UnixMilli() < until, nil
}

// Update implements guard.State.
func (s *Store) Update(
	ctx context.Context, key string, ttl time.Duration, change func(old []byte) (new []byte, err error),
) error {
	f := s.open(ctx)
	if f == nil {
		return s.memory.Update(ctx, key, ttl, change)
	}
	var own error // of change
	err := f.change(ctx, func(c *contents) error {
		var data []byte
		if data, own = change(c.Values[key].Data); own != nil {
			return own
		}
		if delete(c.Values, key); len(data) > 0 {
			c.Values[key] = value{f.now().Add(ttl).UnixMilli(), data}
		}
		return nil
	})
	if own != nil {
		return own
	}
	return fault(err)
}

func fault(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the state of this user's processes cannot be used: %w", err)
}
