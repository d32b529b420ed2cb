package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/oauth/issuertest"
	"github.com/scnet-mcp/scnet-mcp/internal/server"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// limits are what flags or an entry forbid, as they are written.
type limits struct {
	ReadOnly bool     `json:"read_only,omitempty"`
	Toolsets []string `json:"toolsets,omitempty"`
	Disabled []string `json:"disable_tools,omitempty"`
}

func (l limits) forbids(tool toolbox.Tool) bool {
	return l.ReadOnly && tool.Risk != guard.Read || len(l.Toolsets) > 0 && !slices.Contains(l.Toolsets, tool.Toolset) ||
		slices.Contains(l.Disabled, tool.Name)
}

// oauthEntry is an entry of a file that selects access tokens.
type oauthEntry struct {
	Name   string         `json:"name"`
	Select map[string]any `json:"oauth"`
	limits
}

// selects is what the documentation says of an entry.
func (e oauthEntry) selects(claims map[string]any) bool {
	for name, wanted := range e.Select {
		var found bool
		switch name {
		case "any":
			found = true
		case "group":
			found = slices.Contains(claims["groups"].([]string), wanted.(string))
		case "role":
			found = slices.Contains(claims["roles"].([]string), wanted.(string))
		default:
			found = claims[name] == wanted
		}
		if !found {
			return false
		}
	}
	return true
}

// roll makes random things.
type roll struct{ *rand.Rand }

func (r roll) some(most int, items ...string) []string {
	part := []string{}
	for range r.IntN(most + 1) {
		if item := items[r.IntN(len(items))]; !slices.Contains(part, item) {
			part = append(part, item)
		}
	}
	return part
}

func (r roll) limits() limits {
	known := knownNames()
	return limits{ReadOnly: r.IntN(4) == 0, Toolsets: r.some(2, known.Toolsets...), Disabled: r.some(3, known.Tools...)}
}

func (r roll) entry(i int) oauthEntry {
	e := oauthEntry{Name: fmt.Sprintf("entry-%d", i), Select: map[string]any{}, limits: r.limits()}
	for name, values := range map[string][]string{
		"sub": {"ann", "ben"}, "client_id": {"chat", "ci"}, "group": {"a", "b", "ann"}, "role": {"a", "b", "chat"},
	} {
		if r.IntN(3) == 0 {
			e.Select[name] = values[r.IntN(len(values))]
		}
	}
	if len(e.Select) == 0 {
		e.Select["any"] = true
	}
	return e
}

// For whatever flags, file and token: nobody can call what any of them forbids, and everybody can call the rest.
func TestNobodyCanWhatAnythingForbids(t *testing.T) {
	random := roll{rand.New(rand.NewPCG(14, 1))}
	i := issuertest.New("https://idp.example.org")
	issuer, err := serveCommand{httpFlags: httpFlags{OAuthIssuer: i.URL, PublicURL: publicURL}}.verifier(i.Client())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "callers.json")
	admitted, strangers, refused := 0, 0, 0
	for round := range 300 {
		flags := random.limits()
		var entries []oauthEntry
		for n := range 1 + random.IntN(3) {
			entries = append(entries, random.entry(n))
		}
		text, err := json.Marshal(map[string]any{"callers": entries})
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, file, string(text))
		o := server.HTTPOptions{OAuth: &server.OAuth{}}
		policy := guard.Policy{ReadOnly: flags.ReadOnly, DisabledTools: flags.Disabled}
		if len(flags.Toolsets) > 0 {
			policy.Toolsets = flags.Toolsets
		}
		base := toolbox.New(toolbox.Rules{Policy: policy}, tools.Catalogue())
		if _, err := (&admission{base: base, issuer: issuer}).open(file, &o); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		claims := i.Claims(publicURL, time.Now(), map[string]any{
			"sub": []string{"ann", "ben"}[random.IntN(2)], "client_id": []string{"chat", "ci"}[random.IntN(2)],
			"groups": random.some(2, "a", "b", "ann"), "roles": random.some(2, "a", "b", "scnet:destroy"),
			"scope": strings.Join(random.some(2, "openid", "scnet:read", "scnet:change", "scnet:destroy", "scnet:"), " "),
		})
		about := fmt.Sprintf("round %d: %+v %s %v", round, flags, text, claims)
		caller, err := o.OAuth.Authenticate(t.Context(), i.Sign(claims, nil))
		first := slices.IndexFunc(entries, func(e oauthEntry) bool { return e.selects(claims) })
		if (err == nil) != (first >= 0) || err != nil && !errors.Is(err, server.ErrNotAdmitted) {
			t.Fatalf("%s: let in: %v", about, err)
		}
		if err != nil {
			strangers++
			continue
		}
		admitted++
		granted := strings.Fields(claims["scope"].(string))
		for _, tool := range tools.Catalogue() {
			opens := map[guard.Risk][]string{
				guard.Read:       {"scnet:read", "scnet:change", "scnet:destroy"},
				guard.Disruptive: {"scnet:change", "scnet:destroy"}, guard.Destructive: {"scnet:destroy"},
			}[tool.Risk]
			inScope := slices.ContainsFunc(opens, func(scope string) bool { return slices.Contains(granted, scope) })
			forbidden := flags.forbids(tool) || entries[first].forbids(tool)
			_, err := caller.Toolbox.Call(t.Context(), toolbox.Call{Tool: tool.Name, Arguments: json.RawMessage(`{"no":"such"}`)})
			var no *guard.Refusal
			if errors.As(err, &no) != (forbidden || !inScope) || err == nil {
				t.Errorf("%s: %s: %v", about, tool.Name, err)
			}
			if lacking := caller.Toolbox.Lacking(tool.Name); (len(lacking) > 0) != (!forbidden && !inScope) ||
				len(lacking) > 0 && !slices.Contains(opens, lacking[len(lacking)-1]) {
				t.Errorf("%s: %s lacks %v", about, tool.Name, lacking)
			}
			if no != nil {
				refused++
			}
		}
	}
	if admitted < 50 || strangers < 20 || refused < 500 {
		t.Errorf("%d were let in, %d not, %d calls were refused: the test is of little use", admitted, strangers, refused)
	}
}
