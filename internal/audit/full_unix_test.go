//go:build unix

package audit

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

const childFull = "AUDIT_TEST_FULL"

// limitFileSize lets no file of this process grow beyond size, which fails writes half-way as a full disk does.
func limitFileSize(t *testing.T, size uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = min(size, limit.Max)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
}

// TestDiskFull runs its second half in a process of its own: the limit holds for all files of a process.
func TestDiskFull(t *testing.T) {
	if os.Getenv(childFull) == "" {
		path, _ := filled(t, 4)
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDiskFull$")
		cmd.Dir = filepath.Dir(path)
		cmd.Env = append(os.Environ(), childFull+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		sound(t, path, 8)
		return
	}
	const path = "audit.jsonl"
	l := open(t, path, Options{})
	for i := range 4 {
		before := read(t, path)
		for _, room := range []int{0, 1, 50, 200} {
			limitFileSize(t, uint64(len(before)+room))
			err := l.Append(context.Background(), call(3+i))
			limitFileSize(t, 1<<62)
			if !errors.Is(err, syscall.EFBIG) {
				t.Fatalf("room for %d bytes: %v", room, err)
			}
			if !bytes.Equal(read(t, path), before) {
				t.Fatalf("room for %d bytes: the log was changed", room)
			}
			sound(t, path, 4+i)
		}
		add(t, l, call(3+i))
		sound(t, path, 5+i)
	}
}

// TestFullWithoutRoomForHead has room for the record only.
func TestFullWithoutRoomForHead(t *testing.T) {
	path, l := filled(t, 4)
	before := read(t, path)
	draft := path + headSuffix + ".new"
	if err := os.MkdirAll(draft+"/x", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(context.Background(), call(3)); err == nil {
		t.Fatal("no error")
	}
	if !bytes.Equal(read(t, path), before) {
		t.Fatal("the log was changed")
	}
	if err := os.RemoveAll(draft); err != nil {
		t.Fatal(err)
	}
	add(t, l, call(3))
	sound(t, path, 5)
}

// TestFullAtRotation has no room for the new file.
func TestFullAtRotation(t *testing.T) {
	path, l := filled(t, 4)
	l.changes.maxBytes = 1
	draft := path + ".new"
	if err := os.MkdirAll(draft+"/x", 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := l.Append(context.Background(), call(3)); err == nil {
			t.Fatal("no error")
		}
	}
	if err := os.RemoveAll(draft); err != nil {
		t.Fatal(err)
	}
	add(t, l, call(3))
	sound(t, path, 2)
	reports := checkAll(t, path)
	if len(reports) != 2 || reports[1].Problem != nil || reports[1].Continues == "" {
		t.Errorf("%+v", reports)
	}
}
