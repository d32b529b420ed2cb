package audit

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

const (
	maxKeyFile   = 4 << 10 // bytes
	othersMayUse = 0o077
	privateBlock = "PRIVATE KEY" // PKCS #8
	publicBlock  = "PUBLIC KEY"
)

// Key signs checkpoints. It cannot be printed.
type Key struct{ private ed25519.PrivateKey }

// String keeps the key out of whatever prints it.
func (Key) String() string { return "[audit key]" } // not said to people

// GoString does the same for %#v.
func (k Key) GoString() string { return k.String() }

// NewKey makes a key and writes it to a new file at path, in PEM, which only its owner can read. A file that is there is
// never overwritten: without the key that it holds, nothing more could be signed with it.
func NewKey(path string) (*Key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	err = pem.Encode(file, &pem.Block{Type: privateBlock, Bytes: encoded})
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		_ = os.Remove(path) // ours, and not a key
		return nil, err
	}
	return &Key{private}, nil
}

// ReadKey reads a key that NewKey, or `openssl genpkey -algorithm ed25519`, has written. On Unix nobody but the owner may
// have any permission on the file.
func ReadKey(path string) (*Key, error) {
	content, err := readKeyFile(path, true)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil || block.Type != privateBlock {
		return nil, lang.Errorf("%s does not hold a private key in PEM; make one with `scnet-mcp audit keygen`", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, lang.Errorf("%s holds no key that can be read: %w", path, err)
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, lang.Errorf("%s holds a key of another kind; checkpoints are signed with Ed25519", path)
	}
	return &Key{private}, nil
}

func readKeyFile(path string, private bool) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > maxKeyFile:
		return nil, lang.Errorf("%s is not a regular file of at most %d bytes", path, maxKeyFile)
	case private && runtime.GOOS != "windows" && info.Mode().Perm()&othersMayUse != 0:
		return nil, lang.Errorf("%s can be used by others than its owner (%04o); chmod 600 %s", path, info.Mode().Perm(), path)
	}
	return os.ReadFile(path)
}

// CheckApart returns an error when the key file stands in the folder of the log, or below it: whoever can replace the log
// could then replace the key too.
func CheckApart(key, log string) error {
	place, err := realFolder(key)
	if err != nil {
		return err
	}
	folder, err := realFolder(log)
	if err != nil {
		return err
	}
	if below, err := filepath.Rel(folder, place); err == nil && filepath.IsLocal(below) {
		return lang.Errorf("%s stands in the folder of the audit log; keep the key where the log's files cannot be replaced", key)
	}
	return nil
}

// realFolder returns the folder of a file without links. A folder that is not there yet has none below itself.
func realFolder(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil { // the file itself may be a link
		return filepath.Dir(real), nil
	}
	if real, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return real, nil
	}
	return filepath.Dir(path), nil
}

// Public returns the key with which the signatures of k are checked.
func (k *Key) Public() PublicKey {
	public, _ := k.private.Public().(ed25519.PublicKey) // an ed25519.PrivateKey has no other
	return PublicKey{public}
}

// PublicKey checks signatures.
type PublicKey struct{ key ed25519.PublicKey }

// String returns the key as one line: Base64 of its SubjectPublicKeyInfo, which is the body of a PEM file.
func (p PublicKey) String() string { return base64.StdEncoding.EncodeToString(p.encoded()) }

// ID names the key in checkpoints and reports: the beginning of the SHA-256 of its SubjectPublicKeyInfo.
func (p PublicKey) ID() string {
	digest := sha256.Sum256(p.encoded())
	return hex.EncodeToString(digest[:8])
}

func (p PublicKey) encoded() []byte {
	encoded, _ := x509.MarshalPKIXPublicKey(p.key) // cannot fail for Ed25519
	return encoded
}

// ParsePublicKey reads a key as PublicKey.String writes it, or from the file that text names, in PEM or as one line.
func ParsePublicKey(text string) (PublicKey, error) {
	key, err := publicKeyOf([]byte(text))
	if err == nil {
		return key, nil
	}
	content, fileErr := readKeyFile(text, false)
	if fileErr != nil {
		return PublicKey{}, lang.Errorf("neither a public key as `audit keygen` prints it nor a file that can be read: %w", fileErr)
	}
	if key, err = publicKeyOf(content); err != nil {
		return PublicKey{}, lang.Errorf("%s: %w", text, err)
	}
	return key, nil
}

func publicKeyOf(content []byte) (PublicKey, error) {
	var encoded []byte
	var err error
	if block, _ := pem.Decode(content); block != nil {
		if block.Type != publicBlock {
			return PublicKey{}, lang.Errorf("a public key is needed, this is a %s", strings.ToLower(block.Type))
		}
		encoded = block.Bytes
	} else if encoded, err = base64.StdEncoding.DecodeString(strings.TrimSpace(string(content))); err != nil {
		return PublicKey{}, lang.Errorf("not a public key")
	}
	parsed, err := x509.ParsePKIXPublicKey(encoded)
	if err != nil {
		return PublicKey{}, lang.Errorf("not a public key")
	}
	key, ok := parsed.(ed25519.PublicKey)
	if !ok {
		return PublicKey{}, lang.Errorf("a key of another kind; checkpoints are signed with Ed25519")
	}
	return PublicKey{key}, nil
}
