package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"sync"
)

// maxLine is the longest message in bytes that stdio accepts.
const maxLine = 4 << 20

// keptOfLine is how many bytes of the start and of the end of a message suffice to find its id.
const keptOfLine = 4 << 10

// input is one line of a client, without its line end. An over-long line has tooLong set and text holds only what is
// needed to find its id.
type input struct {
	text    []byte
	tooLong bool
	id      json.RawMessage // of an over-long request, nil when it cannot be told
}

// readLines sends every line to sink until in ends or sink returns false. Blank lines are skipped; a last line without a
// line end counts.
func readLines(in io.Reader, limit int, sink func(input) bool) error {
	reader := bufio.NewReaderSize(in, 64<<10)
	for {
		line, err := readLine(reader, limit)
		if line.tooLong || len(bytes.TrimSpace(line.text)) > 0 {
			if !sink(line) {
				return nil
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// readLine reads one line. What goes beyond limit is skipped up to the line's end, so that the next line starts clean;
// the first and last kilobytes are kept to find the id.
func readLine(reader *bufio.Reader, limit int) (input, error) {
	var text, tail []byte
	tooLong := false
	for {
		piece, err := reader.ReadSlice('\n')
		if err == nil {
			piece = bytes.TrimRight(piece, "\r\n")
		}
		if tooLong {
			tail = append(tail, piece...)
			tail = tail[max(len(tail)-keptOfLine, 0):]
		} else if text = append(text, piece...); len(text) > limit {
			tooLong = true
			tail = bytes.Clone(text[max(len(text)-keptOfLine, 0):])
			text = text[:min(len(text), keptOfLine)]
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if tooLong {
			return input{tooLong: true, id: findID(text, tail)}, err
		}
		return input{text: text}, err
	}
}

// idAtEnd finds an id that is the last member of a message. The one brace after it is the message's own, because a nested
// object would need a second one, and a string a quote.
var idAtEnd = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`[,{]\s*"id"\s*:\s*(-?\d+|"[^"\\]*")\s*\}\s*$`)
})

// findID looks for the id of a request of which only the head and the tail are known. Clients write it first or last.
func findID(head, tail []byte) json.RawMessage {
	decoder := json.NewDecoder(bytes.NewReader(head))
	if token, err := decoder.Token(); err == nil && token == json.Delim('{') {
		for decoder.More() {
			key, err := decoder.Token()
			if err != nil {
				break
			}
			var value json.RawMessage
			if decoder.Decode(&value) != nil || decoder.InputOffset() == int64(len(head)) { // a number may go on
				break
			}
			if key == "id" && isID(value) {
				return value
			}
		}
	}
	if match := idAtEnd().FindSubmatch(tail); match != nil && json.Valid(match[1]) && isID(match[1]) {
		return bytes.Clone(match[1])
	}
	return nil
}
