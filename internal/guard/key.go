package guard

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"os"
	"runtime"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

const (
	// maxKeyFileBytes keeps ReadKey from reading a file that was named by mistake.
	maxKeyFileBytes = 4 << 10
	// othersMayUse are the permission bits that let others than the owner read or replace the key.
	othersMayUse = 0o077

	makeKey = "make one: head -c 32 /dev/urandom | base64 > FILE"
)

// NewKey returns a random key for NewTokens, for servers that share it with no other process.
func NewKey() []byte {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails
	return key
}

// ReadKey reads a key for NewTokens from the file at path: the SHA-256 of its content, without line ends at its end. The
// content must have at least 32 bytes, and on Unix nobody but the owner may have any permission on the file.
func ReadKey(path string) ([]byte, error) {
	key, err := readKey(path)
	if err != nil {
		return nil, lang.Errorf("the key file cannot be used: %w", err)
	}
	return key, nil
}

func readKey(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > maxKeyFileBytes:
		return nil, lang.Errorf("%s is not a regular file of at most %d bytes; %s", path, maxKeyFileBytes, lang.T(makeKey))
	case runtime.GOOS != "windows" && info.Mode().Perm()&othersMayUse != 0:
		return nil, lang.Errorf("%s can be used by others than its owner (%04o); chmod 600 %s", path, info.Mode().Perm(), path)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := keyOf(content)
	if err != nil {
		return nil, lang.Errorf("%s: %w", path, err)
	}
	return key, nil
}

func keyOf(content []byte) ([]byte, error) {
	content = bytes.TrimRight(content, "\r\n")
	if len(content) < minKeyBytes {
		return nil, lang.Errorf("a key needs at least 32 random bytes; %s", lang.T(makeKey))
	}
	key := sha256.Sum256(content)
	return key[:], nil
}
