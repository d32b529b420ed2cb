package callers

import (
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

// Book is a file of callers together with a T for each of them: what the server knows the caller as, with the tools that it
// is offered. admit makes a T that differs from every earlier one, as a new pointer does. It is safe for concurrent use.
type Book[T comparable] struct {
	file  *File
	admit func(Caller, guard.Live) T

	filling sync.Mutex // an older reading must not replace a newer one
	current atomic.Pointer[page[T]]
}

// entry is one caller of a Book.
type entry[T comparable] struct {
	caller Caller
	kept   T
}

// page is one reading of the file. It does not change.
type page[T comparable] struct {
	table  *Table
	byName map[string]entry[T]
	kept   map[T]bool
}

// OpenBook reads the file of callers at path, as Open does. admit makes what is kept for a caller, with the caller's policy
// as File.Live returns it: work that is under way asks it, also once a T is no longer kept.
func OpenBook[T comparable](path string, known Known, admit func(Caller, guard.Live) T) (*Book[T], error) {
	file, err := Open(path, known)
	if err != nil {
		return nil, err
	}
	b := &Book[T]{file: file, admit: admit}
	b.current.Store(&page[T]{})
	b.fill()
	return b, nil
}

// Reload reads the file again. When anything is wrong with it, everything stays as it was.
func (b *Book[T]) Reload() error {
	if err := b.file.Reload(); err != nil {
		return err
	}
	b.fill()
	return nil
}

// fill takes over what the file says. A caller of whom nothing has changed keeps its T, and with it its streams.
func (b *Book[T]) fill() {
	b.filling.Lock()
	defer b.filling.Unlock()
	before := b.current.Load().byName
	now := &page[T]{table: b.file.Table(), byName: map[string]entry[T]{}, kept: map[T]bool{}}
	for _, caller := range now.table.Callers() {
		one, known := before[caller.Name]
		if !known || !reflect.DeepEqual(one.caller, caller) {
			one = entry[T]{caller, b.admit(caller, b.file.Live(caller.Name, caller.Digest))}
		}
		now.byName[caller.Name], now.kept[one.kept] = one, true
	}
	b.current.Store(now)
}

// Find returns the caller whose token it is, and what is kept for it.
func (b *Book[T]) Find(token string) (c Caller, kept T, ok bool) {
	now := b.current.Load()
	c, ok = now.table.Find(token)
	return c, now.byName[c.Name].kept, ok
}

// Holds reports whether kept, which Find returned earlier, is still what is kept for its caller. It is not once the caller's
// token or policy has changed.
func (b *Book[T]) Holds(kept T) bool { return b.current.Load().kept[kept] }
