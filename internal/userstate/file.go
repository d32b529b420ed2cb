package userstate

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/filelock"
)

const (
	fileName = "consent.json"
	lockWait = 10 * time.Second
	keyBytes = 32

	// maxEntries bounds the file: about a claim for every token of five minutes.
	maxEntries = 10_000
	maxBytes   = 4 << 20

	// clockSkew is how far back a clock may go before what was forgotten meanwhile could matter.
	clockSkew = time.Minute
)

// file keeps contents. A change is a new file in the place of the old one, under a lock, so that a reader needs no lock and a
// crash leaves one of the two.
type file struct {
	path string
	now  func() time.Time
	busy chan struct{} // one of this process at a time waits for the lock
}

// contents are what the processes of one user share. Times are Unix milliseconds.
type contents struct {
	Key    []byte           `json:"key"` // of tokens
	Epoch  string           `json:"epoch"`
	Began  int64            `json:"began"`
	Latest int64            `json:"latest"` // when it was last written
	Claims map[string]int64 `json:"claims"` // until when
	Values map[string]value `json:"values"`
}

type value struct {
	Until int64  `json:"until"`
	Data  []byte `json:"data"`
}

// openFile makes the folder and the lock, and fails when the place cannot be written to.
func openFile(folder string, now func() time.Time) (*file, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	f := &file{path: filepath.Join(folder, fileName), now: now, busy: make(chan struct{}, 1)}
	probe, err := os.CreateTemp(folder, fileName+".*")
	if err != nil {
		return nil, err
	}
	return f, errors.Join(probe.Close(), os.Remove(probe.Name()))
}

func fresh(now time.Time) *contents {
	c := &contents{Key: make([]byte, keyBytes), Latest: now.UnixMilli(), Claims: map[string]int64{}, Values: map[string]value{}}
	_, _ = rand.Read(c.Key) // never fails
	c.begin(now)
	return c
}

// begin starts an epoch: tokens that were issued before do not hold any more.
func (c *contents) begin(now time.Time) { c.Epoch, c.Began = rand.Text(), now.UnixMilli() }

// read returns what is kept. A file that was never written comes as one with a new key, which nobody else knows.
func (f *file) read() (*contents, error) {
	info, err := os.Lstat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fs.ErrNotExist
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > maxBytes:
		return nil, fmt.Errorf("%s is not a regular file of at most %d bytes", f.path, maxBytes)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("users other than its owner can use %s (%04o); remove it: preview tokens and the hourly limit then start afresh", f.path, info.Mode().Perm())
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return nil, err
	}
	var c contents
	if err := json.Unmarshal(text, &c); err != nil || len(c.Key) != keyBytes || c.Epoch == "" {
		return nil, fmt.Errorf("%s does not hold what it should; remove it: preview tokens and the hourly limit then start afresh", f.path)
	}
	if c.Claims == nil {
		c.Claims = map[string]int64{}
	}
	if c.Values == nil {
		c.Values = map[string]value{}
	}
	return &c, nil
}

// look returns what is kept, and makes it when nothing is.
func (f *file) look(ctx context.Context) (*contents, error) {
	c, err := f.read()
	if err == nil && !f.hasGoneBack(c) {
		return c, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	err = f.change(ctx, func(kept *contents) error {
		c = kept
		return nil
	})
	return c, err
}

// hasGoneBack reports whether the clock is behind the time at which the file was written. Entries that had expired by then
// may have been forgotten, but would be valid again by this clock.
func (f *file) hasGoneBack(c *contents) bool {
	return f.now().Before(time.UnixMilli(c.Latest).Add(-clockSkew))
}

// errUnchanged ends a change that has nothing to write.
var errUnchanged = errors.New("unchanged")

// change passes the stored state, without expired entries, to do, and writes the result. If do returns an error, nothing is
// written.
func (f *file) change(ctx context.Context, do func(*contents) error) error {
	select {
	case f.busy <- struct{}{}:
		defer func() { <-f.busy }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	release, err := filelock.Lock(ctx, f.path+filelock.Suffix, lockWait)
	if err != nil {
		return fmt.Errorf("%s cannot be locked: %w", f.path, err)
	}
	defer release()
	now := f.now()
	c, err := f.read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c = fresh(now)
	case err != nil:
		return err
	case f.hasGoneBack(c):
		c.begin(now)
	}
	c.forget(now.UnixMilli())
	if err := do(c); err != nil {
		return err
	}
	if len(c.Claims)+len(c.Values) > maxEntries {
		return fmt.Errorf("%s is full: it holds %d entries", f.path, maxEntries)
	}
	c.Latest = now.UnixMilli()
	return f.write(c)
}

func (c *contents) forget(now int64) {
	for key, until := range c.Claims {
		if until <= now {
			delete(c.Claims, key)
		}
	}
	for key, v := range c.Values {
		if v.Until <= now {
			delete(c.Values, key)
		}
	}
}

func (f *file) write(c *contents) (err error) {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if len(text) > maxBytes {
		return fmt.Errorf("%s is full: it holds %d bytes", f.path, maxBytes)
	}
	next, err := os.CreateTemp(filepath.Dir(f.path), fileName+".*") // 0600
	if err != nil {
		return err
	}
	_, err = next.Write(text)
	if err = errors.Join(err, next.Sync(), next.Close()); err == nil {
		err = os.Rename(next.Name(), f.path)
	}
	if err != nil {
		_ = os.Remove(next.Name())
		return err
	}
	return syncFolder(filepath.Dir(f.path))
}

// syncFolder makes a rename last. Not every system can; then a crash of the machine may bring the old file back.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	_ = folder.Sync()
	return folder.Close()
}
