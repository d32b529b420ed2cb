package callers_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/callers"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/oauth"
)

func selecting(name, selector string, more ...string) string {
	return "{" + strings.Join(append([]string{`"name":"` + name + `"`, `"oauth":` + selector}, more...), ",") + "}"
}

// The first entry that fits selects; a token of the file never does.
func TestSelect(t *testing.T) {
	table := parse(t, file(
		entry("static"),
		selecting("both", `{"sub":"ann","client_id":"ci"}`),
		selecting("ann", `{"sub":"ann"}`),
		selecting("deployers", `{"client_id":"ci","role":"deployer"}`),
		selecting("team", `{"group":"/hpc/operators"}`, `"read_only":true`),
	))
	for want, tokens := range map[string][]oauth.Identity{
		"both":      {{Subject: "ann", ClientID: "ci"}, {Subject: "ann", ClientID: "ci", Groups: []string{"/hpc/operators"}}},
		"ann":       {{Subject: "ann"}, {Subject: "ann", ClientID: "chat"}},
		"deployers": {{Subject: "x", ClientID: "ci", Roles: []string{"a", "deployer"}, Groups: []string{"/hpc/operators"}}},
		"team":      {{Subject: "x", Groups: []string{"a", "/hpc/operators"}}},
		"": {
			{}, {Subject: "Ann"}, {Subject: "ann "}, {ClientID: "ann"}, {ClientID: "ci"}, {Roles: []string{"deployer"}},
			{Groups: []string{"operators"}}, {Groups: []string{"deployer", "ann", "ci"}}, {Roles: []string{"/hpc/operators"}},
		},
	} {
		for _, who := range tokens {
			if got, found := table.Select(who); got.Name != want || found != (want != "") {
				t.Errorf("%+v is %q, want %q", who, got.Name, want)
			}
		}
	}
	if !table.HasOAuth() || parse(t, file(entry("a"))).HasOAuth() {
		t.Error("HasOAuth")
	}
	if _, found := parse(t, file(selecting("rest", `{"any":true}`))).Select(oauth.Identity{}); !found {
		t.Error("any does not select everybody")
	}
	if _, found := parse(t, file(selecting("rest", `{"any":true}`))).Find(""); found {
		t.Error("no token is needed")
	}
}

func TestSelectorProblems(t *testing.T) {
	refuses(t, map[string]string{
		`{}`:                       "callers[1].oauth: selects nobody; name sub, client_id, group or role, or any",
		`null`:                     "callers[1].oauth: must be an object",
		`"ann"`:                    "callers[1].oauth: must be an object",
		`[]`:                       "callers[1].oauth: must be an object",
		`{"sub":""}`:               "callers[1].oauth.sub: is empty",
		`{"group":""}`:             "callers[1].oauth.group: is empty",
		`{"group":["a"]}`:          "callers[1].oauth.group: must be a string",
		`{"sub":1}`:                "callers[1].oauth.sub: must be a string",
		`{"groups":"a"}`:           `callers[1].oauth: there is no field "groups"; valid are sub, client_id, group, role, any`,
		`{"Sub":"a"}`:              `callers[1].oauth: there is no field "Sub"`,
		`{"any":false}`:            "callers[1].oauth.any: must be true and alone",
		`{"any":"true"}`:           "callers[1].oauth.any: must be true or false",
		`{"any":true,"sub":"a"}`:   "callers[1].oauth.any: must be true and alone",
		`{"sub":"a","sub":"b"}`:    "callers[1].oauth.sub: given more than once",
		`{"sub":"a"},"oauth":null`: "callers[1].oauth: given more than once",
		`{"sub":"a"},"token_sha256":"` + callers.Digest("t") + `"`: "callers[1].oauth: cannot stand beside token_sha256",
	}, func(text string) []byte { return file(entry("first"), selecting("a", text)) })
}

func TestSelectorIsSaid(t *testing.T) {
	for want, selector := range map[string]string{
		`a: access tokens with sub "x" and client_id "y" and group "z" and role "r"; only reads`: `{"role":"r","group":"z","client_id":"y","sub":"x"}`,
		`a: access tokens with any; only reads`:                                                  `{"any":true}`,
	} {
		if got := parse(t, file(selecting("a", selector, `"read_only":true`))).Callers()[0].String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// A call that is under way is held to the entry that selects its caller now.
func TestLiveFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "callers.json")
	write(t, path, file(selecting("team", `{"group":"a"}`), selecting("rest", `{"any":true}`)), 0o600)
	book, err := callers.OpenBook(path, known, func(c callers.Caller, _ guard.Live) *callers.Caller { return &c })
	if err != nil {
		t.Fatal(err)
	}
	who := oauth.Identity{Subject: "ann", Groups: []string{"a"}}
	one, kept, live, ok := book.Select(who)
	if !ok || one.Name != "team" || kept.Name != "team" || !book.Holds(kept) || !book.HasOAuth() {
		t.Fatal(one, kept, ok)
	}
	write(t, path, file(selecting("team", `{"group":"a"}`, `"read_only":true`), selecting("rest", `{"any":true}`)), 0o600)
	if err := book.Reload(); err != nil {
		t.Fatal(err)
	}
	if p, err := live(); err != nil || !p.ReadOnly || book.Holds(kept) {
		t.Errorf("%+v, %v", p, err)
	}
	write(t, path, file(selecting("team", `{"group":"b"}`), selecting("rest", `{"any":true}`)), 0o600)
	if err := book.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, err := live(); err == nil || err.Error() != "caller team has been removed" {
		t.Error(err)
	}
	write(t, path, file(entry("other")), 0o600)
	if err := book.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, _, _, ok := book.Select(who); ok {
		t.Error("whom nothing selects is let in")
	}
}
