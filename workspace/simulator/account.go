package simulator

import "time"

// Account is who the simulated cloud belongs to.
type Account struct {
	DomainID string
	// Projects as IAM lists them. The desktops are in the first one; in the
	// others Workspace answers that it may not be used.
	Projects []Project
	Keys     []Key
}

// Project is one project of an account; the one a region has by itself is
// named after it (page KeystoneListProjects).
type Project struct{ ID, Name string }

// Key is an access key that requests may be signed with.
type Key struct {
	AccessKey string
	SecretKey string
	// SecurityToken makes it a temporary key: requests have to bring the token
	// along in X-Security-Token.
	SecurityToken string
	// Expires is when a temporary key ends; never when zero.
	Expires time.Time
}

// tokenLifetime is how long a token is valid (page
// KeystoneCreateUserTokenByPassword).
const tokenLifetime = 24 * time.Hour

// Token mints a token that X-Auth-Token takes for 24 hours.
func (s *Simulator) Token() string { return s.TokenExpiring(s.now().Add(tokenLifetime)) }

// TokenExpiring mints a token that X-Auth-Token takes until the given time.
func (s *Simulator) TokenExpiring(at time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := "MII" + s.newID() + s.newID()
	s.tokens[token] = at
	return token
}

// ProjectID is the id of the project that has the desktops.
func (s *Simulator) ProjectID() string { return s.account.Projects[0].ID }
