package audit

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// When what was written is signed: with the record that makes so many unsigned ones, or after so long at the latest. A file
// is also signed before it is rotated, and when the log is closed.
const (
	signEvery = 100
	signAfter = time.Minute
)

// logIDLen is how much of a hash names a log.
const logIDLen = 16

// Checkpoint is a signature over a log up to one record. As every record has the hash of the one before, it covers all of
// them.
type Checkpoint struct {
	Log       string    `json:"log"` // the chain: the beginning of the hash of its first record
	Seq       uint64    `json:"seq"` // of the last record that is covered
	Hash      string    `json:"hash"`
	Time      time.Time `json:"time"`
	Key       string    `json:"key"`       // PublicKey.ID
	Signature string    `json:"signature"` // Ed25519 in Base64
}

// signed is the text that is signed.
func (c Checkpoint) signed() []byte {
	at := c.Time.UTC().Format(time.RFC3339Nano)
	return fmt.Appendf(nil, "scnet-mcp audit checkpoint\n%s\n%d\n%s\n%s\n", c.Log, c.Seq, c.Hash, at) // not said to people
}

// sign returns the checkpoint of end.
func (k *Key) sign(log string, end head, at time.Time) *Checkpoint {
	c := Checkpoint{Log: log, Seq: end.Seq, Hash: end.Hash, Time: at.UTC(), Key: k.Public().ID()}
	c.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(k.private, c.signed()))
	return &c
}

// holds reports whether c was signed with the key.
func (c Checkpoint) holds(key PublicKey) bool {
	signature, err := base64.StdEncoding.Strict().DecodeString(c.Signature)
	return err == nil && ed25519.Verify(key.key, c.signed(), signature)
}

// isWhole reports whether every member is there in the form that it has in a log.
func (c Checkpoint) isWhole() bool {
	return len(c.Log) == logIDLen && isHash(c.Hash) && c.Seq > 0 && !c.Time.IsZero() && c.Key != "" && c.Signature != ""
}

// logID names the chain that a file belongs to, by the first record of the file.
func logID(first Record) string {
	if first.Log != "" || len(first.Hash) < logIDLen {
		return first.Log
	}
	return first.Hash[:logIDLen]
}

// due reports whether what this process has written should be signed now.
func (c *chain) due(more int) bool { return c.key != nil && c.unsigned+more >= signEvery }

// checkpoint signs what has not been signed yet, if anything. It rotates nothing.
func (c *chain) checkpoint() error {
	if c.key == nil || c.unsigned == 0 {
		return nil
	}
	file, err := c.load()
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	return c.checkpointIn(file)
}

// checkpointIn does the same at the end of file, which has just been loaded.
func (c *chain) checkpointIn(file *os.File) error {
	if c.key == nil || c.unsigned == 0 {
		return nil
	}
	line, end, made, err := c.signedLine(c.end, c.note)
	if err != nil {
		return err
	}
	if err := c.put(file, line, end); err != nil {
		return err
	}
	c.signed(made)
	return nil
}

// signedLine returns the record that signs the log up to end.
func (c *chain) signedLine(end head, note string) (line []byte, next head, made *Checkpoint, err error) {
	made = c.key.sign(c.log, end, c.now())
	line, next, err = c.next(Record{Event: Checkpointed, Time: made.Time, Checkpoint: made, Note: note}, end)
	return line, next, made, err
}

// signed notes that a checkpoint is on disk, and passes it on.
func (c *chain) signed(made *Checkpoint) {
	c.unsigned = 0
	if c.anchor != nil {
		c.anchor(*made)
	}
}

// checkpointSoon makes sure that what was written is signed within a while.
func (l *Log) checkpointSoon() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.options.Key == nil || l.closed || l.timer != nil {
		return
	}
	l.timer = time.AfterFunc(l.options.signAfter, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.timer = nil
		if !l.closed {
			l.enqueue(&entry{record: Record{Event: Checkpointed}, done: make(chan error, 1)})
		}
	})
}

// maxAnchors bounds the memory for anchors.
const maxAnchors = 1 << 20

// ReadAnchors reads checkpoints that were sent elsewhere, one in a line. What stands before a checkpoint in its line, as in a
// file of syslog, is left out. other counts the lines in which there is none.
func ReadAnchors(path string) (anchors []Checkpoint, other int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = file.Close() }()
	return parseAnchors(file)
}

func parseAnchors(text io.Reader) (anchors []Checkpoint, other int, err error) {
	const longest = 64 << 10
	reader, rest := bufio.NewReaderSize(text, longest), false
	for {
		line, more, err := reader.ReadLine()
		switch {
		case errors.Is(err, io.EOF):
			return anchors, other, nil
		case err != nil:
			return nil, 0, err
		}
		begins := !rest
		if rest = more; !begins || len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var c Checkpoint
		start := max(0, bytes.IndexByte(line, '{'))
		if json.Unmarshal(line[start:], &c) != nil || !c.isWhole() {
			other++
			continue
		}
		if anchors = append(anchors, c); len(anchors) > maxAnchors {
			return nil, 0, lang.Errorf("there are more than %d checkpoints; give the newer part of them", maxAnchors)
		}
	}
}
