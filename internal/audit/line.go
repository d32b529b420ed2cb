package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A line is a JSON object whose last member is the SHA-256 of the exact bytes before that member. Nothing in a line is
// outside the hash except the mark and the end, which have one spelling only.
const (
	maxLine  = 256 << 10 // bytes, line end included
	hashMark = `,"hash":"`
	lineEnd  = "\"}\n"
	hashLen  = 2 * sha256.Size
	sealLen  = len(hashMark) + hashLen + len(lineEnd)
)

// firstPrev is the Prev of a record that nothing comes before.
var firstPrev = strings.Repeat("0", hashLen)

// encode returns r as a line and the hash of it.
func encode(r Record) (line []byte, hash string, err error) {
	body, err := fit(r)
	if err != nil {
		return nil, "", err
	}
	hash = sum(body)
	return slices.Concat(body, []byte(hashMark+hash+lineEnd)), hash, nil
}

// marshal returns r as JSON without hash and closing brace.
func marshal(r Record) ([]byte, error) {
	r.Hash = ""
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		return nil, fmt.Errorf("an audit record cannot be encoded: %w", err)
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("}\n")), nil
}

// parse reads a line, line end included. The problem it returns has neither line nor seq.
func parse(line []byte) (Record, *Problem) {
	if len(line) < sealLen {
		return Record{}, &Problem{Kind: Unreadable, Detail: "the line is too short for a record"}
	}
	body, seal := line[:len(line)-sealLen], string(line[len(line)-sealLen:])
	hash := seal[len(hashMark) : len(hashMark)+hashLen]
	if seal != hashMark+hash+lineEnd || !isHash(hash) {
		return Record{}, &Problem{Kind: Unreadable, Detail: "the line does not end with a hash as records do"}
	}
	if sum(body) != hash {
		return Record{}, &Problem{Kind: Changed, Detail: "the record does not have the hash that it carries"}
	}
	var r Record
	if err := json.Unmarshal(line, &r); err != nil {
		return Record{}, &Problem{Kind: Unreadable, Detail: "the line is not a record: " + err.Error()}
	}
	r.Hash = hash
	return r, nil
}

func sum(body []byte) string {
	digest := sha256.Sum256(body)
	return hex.EncodeToString(digest[:])
}

func isHash(text string) bool {
	return len(text) == hashLen && strings.Trim(text, "0123456789abcdef") == ""
}
