package audit

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

const headSuffix = ".head"

// head names the last record of a log. A chain of hashes cannot show that its end was cut off; the head can.
//
// It is written after the record is on disk, without a sync of its own: after a power failure it may be old or empty,
// which weakens what Verify can say, but it never names a record that was not written.
type head struct {
	Seq  uint64 `json:"seq"`
	Hash string `json:"hash"`
}

func readHead(log string) (head, error) {
	file, err := os.Open(log + headSuffix)
	if err != nil {
		return head{}, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, 1<<10))
	if err != nil {
		return head{}, err
	}
	var h head
	if err := json.Unmarshal(text, &h); err != nil {
		return head{}, lang.Errorf("the head file cannot be read: %w", err)
	}
	const highest = 1 << 62 // far from overflow
	if h.Seq == 0 || h.Seq > highest || !isHash(h.Hash) {
		return head{}, lang.Errorf("the head file names no record")
	}
	return h, nil
}

func writeHead(log string, h head) error {
	return replace(log+headSuffix, fmt.Appendf(nil, `{"seq":%d,"hash":"%s"}`+"\n", h.Seq, h.Hash), false)
}

// replace puts a file with content at path in one step: a reader finds the old one or the new one.
func replace(path string, content []byte, sync bool) (err error) {
	draft := path + ".new"
	_ = os.Remove(draft) // left by a crash, or planted: O_EXCL must not follow a link
	file, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil && sync {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(draft, path)
	}
	if err != nil {
		_ = os.Remove(draft)
	}
	return err
}
