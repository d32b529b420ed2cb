package server

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/mark3labs/mcp-go/mcp"
)

// session is the one client of a stdio server. mcp-go's own is a process-wide variable that two servers would share.
type session struct {
	id            string
	initialized   atomic.Bool
	notifications chan mcp.JSONRPCNotification
	ask           func(context.Context, mcp.ElicitationRequest) (*mcp.ElicitationResult, error)
	cannotAsk     atomic.Bool // the client declared elicitation and does not have it

	mu           sync.Mutex
	client       mcp.Implementation
	capabilities mcp.ClientCapabilities
	version      string
}

func newSession(id string) *session {
	return &session{id: id, notifications: make(chan mcp.JSONRPCNotification, 100)}
}

// SessionID implements mcp-go's ClientSession, as do the three methods that follow.
func (s *session) SessionID() string { return s.id }

func (s *session) Initialize() { s.initialized.Store(true) }

func (s *session) Initialized() bool { return s.initialized.Load() }

func (s *session) NotificationChannel() chan<- mcp.JSONRPCNotification { return s.notifications }

// RequestElicitation implements mcp-go's SessionWithElicitation.
func (s *session) RequestElicitation(ctx context.Context, request mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	return s.ask(ctx, request)
}

// introduce keeps what the client says about itself in the handshake.
func (s *session) introduce(client mcp.Implementation, capabilities mcp.ClientCapabilities) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client, s.capabilities = client, capabilities
}

// GetClientInfo implements mcp-go's SessionWithClientInfo, as do the three methods that follow.
func (s *session) GetClientInfo() mcp.Implementation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client
}

// SetClientInfo does nothing, and neither does SetClientCapabilities: mcp-go calls them also with what a request of the
// newer era declares, which holds for that request only.
func (s *session) SetClientInfo(mcp.Implementation) {}

func (s *session) GetClientCapabilities() mcp.ClientCapabilities {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.capabilities
}

// SetClientCapabilities does nothing; see SetClientInfo.
func (s *session) SetClientCapabilities(mcp.ClientCapabilities) {}

// ProtocolVersion implements mcp-go's SessionWithProtocolVersion.
func (s *session) ProtocolVersion() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

// SetProtocolVersion keeps what initialize negotiated.
func (s *session) SetProtocolVersion(version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version = version
}
