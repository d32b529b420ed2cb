package server

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// session is one client, as mcp-go wants to see it. mcp-go's own share channels, and what clients declare, between clients.
type session struct {
	id          string
	initialized atomic.Bool
	forward     *forwarder
	// request puts a request to the client; nil when the client cannot be reached with one.
	request   func(ctx context.Context, method string, params any) (message, error)
	cannotAsk atomic.Bool // the client declared elicitation and does not have it

	mu           sync.Mutex
	client       mcp.Implementation
	capabilities mcp.ClientCapabilities
	version      string
}

var (
	_ mcpserver.SessionWithClientInfo      = (*session)(nil)
	_ mcpserver.SessionWithElicitation     = (*session)(nil)
	_ mcpserver.SessionWithProtocolVersion = (*session)(nil)
)

// SessionID implements mcp-go's ClientSession, as do the three methods that follow.
func (s *session) SessionID() string { return s.id }

func (s *session) Initialize() { s.initialized.Store(true) }

func (s *session) Initialized() bool { return s.initialized.Load() }

func (s *session) NotificationChannel() chan<- mcp.JSONRPCNotification { return s.forward.channel() }

// RequestElicitation implements mcp-go's SessionWithElicitation. It waits for the answer until ctx or the input ends, and
// returns errCannotAsk when the client does not know the method after all.
func (s *session) RequestElicitation(ctx context.Context, request mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	if s.request == nil {
		return nil, errCannotAsk
	}
	answer, err := s.request(ctx, request.Method, request.Params)
	if err != nil {
		return nil, err
	}
	return readElicitation(answer)
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
