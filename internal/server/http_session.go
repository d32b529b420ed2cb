package server

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

const (
	// sessionLifetime is long because many clients do not make a new session when theirs has ended.
	sessionLifetime = 30 * 24 * time.Hour
	maxRemembered   = 10_000 // things known of sessions; forgetting one is harmless
)

// sessions makes and reads the session ids of the protocol revisions with a handshake. An id holds what the handshake said,
// under a seal, so that a session takes no memory and any replica with the same key can serve it. It proves nothing about
// who sends it: every request is authenticated, and an id holds for the caller that it was made for only.
type sessions struct {
	key []byte
	now func() time.Time

	ended     remembered // by their clients
	cannotAsk remembered
}

// claims are what a session id holds.
type claims struct {
	Caller   string `json:"c"`
	Client   string `json:"n,omitempty"`
	Version  string `json:"v,omitempty"`
	Protocol string `json:"p,omitempty"`
	Forms    bool   `json:"f,omitempty"` // the client declared that it can ask its user
	Made     int64  `json:"t"`           // Unix seconds
	Nonce    string `json:"r"`
}

func newSessions(key []byte, now func() time.Time) *sessions {
	derived := hmac.New(sha256.New, key)
	derived.Write([]byte("session ids"))
	return &sessions{key: derived.Sum(nil), now: now}
}

// issue returns an id for what s was told in the handshake.
func (t *sessions) issue(caller string, s *session) string {
	client := s.GetClientInfo()
	body, _ := json.Marshal(claims{ // strings, numbers and a boolean always encode
		Caller: caller, Client: shorten(client.Name), Version: shorten(client.Version),
		Protocol: s.ProtocolVersion(), Forms: canShowForm(s.GetClientCapabilities()),
		Made: t.now().Unix(), Nonce: rand.Text(),
	})
	text := base64.RawURLEncoding.EncodeToString(body)
	return text + "." + t.seal(text)
}

// open fills s with what the id's handshake said, and reports whether the id is one of the caller's.
func (t *sessions) open(id, caller string, s *session) bool {
	text, seal, found := strings.Cut(id, ".")
	if !found || !hmac.Equal([]byte(seal), []byte(t.seal(text))) {
		return false
	}
	var c claims
	body, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(body, &c) != nil || c.Caller != caller ||
		t.now().Sub(time.Unix(c.Made, 0)) > sessionLifetime || t.ended.has(id) {
		return false
	}
	capabilities := mcp.ClientCapabilities{}
	if c.Forms {
		capabilities.Elicitation = &mcp.ElicitationCapability{}
	}
	s.id = id
	s.introduce(mcp.Implementation{Name: c.Client, Version: c.Version}, capabilities)
	s.SetProtocolVersion(c.Protocol)
	s.Initialize() // there is no id before the handshake
	s.cannotAsk.Store(t.cannotAsk.has(id))
	return true
}

func (t *sessions) seal(text string) string {
	mac := hmac.New(sha256.New, t.key)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// remembered are the latest maxRemembered keys that were put into it.
type remembered struct {
	mu   sync.Mutex
	keys map[[sha256.Size]byte]struct{}
	ring [][sha256.Size]byte
	next int
}

func (r *remembered) put(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	digest := sha256.Sum256([]byte(key))
	if _, known := r.keys[digest]; known {
		return
	}
	if r.keys == nil {
		r.keys = map[[sha256.Size]byte]struct{}{}
	}
	if len(r.ring) < maxRemembered {
		r.ring = append(r.ring, digest)
	} else {
		delete(r.keys, r.ring[r.next])
		r.ring[r.next] = digest
		r.next = (r.next + 1) % maxRemembered
	}
	r.keys[digest] = struct{}{}
}

func (r *remembered) has(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.keys) == 0 {
		return false
	}
	_, known := r.keys[sha256.Sum256([]byte(key))]
	return known
}

// mailAddress names the answer to a question that a session was asked. Without knowing both, nobody can write there.
func mailAddress(session, question string) string {
	digest := sha256.Sum256([]byte(session + "\n" + question))
	return "answer:" + base64.RawURLEncoding.EncodeToString(digest[:])
}
