package simulator

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// Account is who the simulated cloud belongs to.
type Account struct {
	DomainID string
	Domain   string // the account's name
	// User and Password log in for a token; nobody can while Password is empty.
	User     string
	Password string
	// Projects as IAM lists them. The desktops are in the first one; in the others Workspace answers that it may not be used.
	Projects []Project
	Keys     []Key
}

// Project is one project of an account; the one a region has by itself is named after it (page KeystoneListProjects).
type Project struct{ ID, Name string }

// Key is an access key that requests may be signed with.
type Key struct {
	AccessKey string
	SecretKey string
	// SecurityToken makes it a temporary key: requests have to bring the token along in X-Security-Token.
	SecurityToken string
	// Expires is when a temporary key ends; never when zero.
	Expires time.Time
}

// tokenLifetime is how long a token is valid (page KeystoneCreateUserTokenByPassword).
const tokenLifetime = 24 * time.Hour

// Token mints a token that X-Auth-Token takes for 24 hours.
func (s *Simulator) Token() string { return s.TokenExpiring(s.now().Add(tokenLifetime)) }

// TokenExpiring mints a token that X-Auth-Token takes until the given time.
func (s *Simulator) TokenExpiring(at time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mint(at)
}

// mint makes a token. The caller holds s.mu.
func (s *Simulator) mint(at time.Time) string {
	token := "MII" + s.newID() + s.newID()
	s.tokens[token] = at
	return token
}

// ProjectID is the id of the project that has the desktops.
func (s *Simulator) ProjectID() string { return s.account.Projects[0].ID }

// projectJSON is a project as page KeystoneListProjects has it.
type projectJSON struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Description string            `json:"description"`
	DomainID    string            `json:"domain_id"`
	ParentID    string            `json:"parent_id"`
	IsDomain    bool              `json:"is_domain"`
	Enabled     bool              `json:"enabled"`
	Links       map[string]string `json:"links"`
}

// listProjects is page KeystoneListProjects. The name is compared exactly: clients look for the one project that a region has
// of its own.
func (c *call) listProjects() reply {
	name := c.query.text("name", 64)
	if out, ok := c.query.verdict(); !ok {
		return out
	}
	projects := []projectJSON{}
	for _, p := range c.sim.account.Projects {
		if name != "" && p.Name != name {
			continue
		}
		projects = append(projects, projectJSON{
			ID: p.ID, Name: p.Name, DomainID: c.sim.account.DomainID, ParentID: c.sim.account.DomainID,
			Enabled: true, Links: map[string]string{"self": c.sim.url + "/v3/projects/" + p.ID},
		})
	}
	return ok(map[string]any{
		"projects": projects,
		"links":    map[string]string{"self": c.sim.url + "/v3/projects"},
	})
}

// loginBody is the body of KeystoneCreateUserTokenByPassword.
type loginBody struct {
	Auth struct {
		Identity struct {
			Methods  []string `json:"methods"`
			Password struct {
				User struct {
					Name     string `json:"name"`
					Password string `json:"password"`
					Domain   struct {
						Name string `json:"name"`
					} `json:"domain"`
				} `json:"user"`
			} `json:"password"`
		} `json:"identity"`
		Scope struct {
			Project struct {
				ID   string `json:"id"`
				Name string `json:"name"`
			} `json:"project"`
		} `json:"scope"`
	} `json:"auth"`
}

// createToken is page KeystoneCreateUserTokenByPassword. Only a password and a project are taken, of all that the page
// offers; the token is the same for every project. What it answers to a project that does not exist is assumed.
func (c *call) createToken() reply {
	var b loginBody
	if err := json.Unmarshal(c.body, &b); err != nil || !slices.Equal(b.Auth.Identity.Methods, []string{"password"}) {
		return reply{status: http.StatusBadRequest, code: codeParameter, msg: "Request body is invalid."}
	}
	account := c.sim.account
	user, scope := b.Auth.Identity.Password.User, b.Auth.Scope.Project
	if account.Password == "" || user.Name != account.User || user.Password != account.Password ||
		user.Domain.Name != account.Domain {
		return reply{status: http.StatusUnauthorized, code: codeSignature, msg: "The username or password is wrong."}
	}
	i := slices.IndexFunc(account.Projects, func(p Project) bool {
		return (scope.ID == "" || scope.ID == p.ID) && (scope.Name == "" || scope.Name == p.Name)
	})
	if i < 0 {
		return reply{status: http.StatusBadRequest, code: codeParameter, msg: "The project does not exist."}
	}
	const form = "2006-01-02T15:04:05.000000Z"
	expiry := c.now.Add(tokenLifetime)
	domain := map[string]string{"id": account.DomainID, "name": account.Domain}
	return reply{status: http.StatusCreated, token: c.sim.mint(expiry), body: map[string]any{"token": map[string]any{
		"methods": []string{"password"}, "issued_at": c.now.UTC().Format(form), "expires_at": expiry.UTC().Format(form),
		"user":    map[string]any{"name": account.User, "domain": domain},
		"project": map[string]any{"id": account.Projects[i].ID, "name": account.Projects[i].Name, "domain": domain},
	}}}
}
