package callers_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/callers"
)

var known = callers.Known{
	Tools:    []string{"list_instances", "delete_instances", "execute_script"},
	Toolsets: []string{"instances", "workspace"},
}

// entry is a caller of a file with a token that holds for it. more are its other fields.
func entry(name string, more ...string) string {
	fields := append([]string{fmt.Sprintf(`"name":%q,"token_sha256":%q`, name, callers.Digest("token of "+name))}, more...)
	return "{" + strings.Join(fields, ",") + "}"
}

func file(entries ...string) []byte {
	return []byte(`{"callers":[` + strings.Join(entries, ",\n") + `]}`)
}

func parse(t *testing.T, data []byte) *callers.Table {
	t.Helper()
	table, err := callers.Parse(data, known)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestFind(t *testing.T) {
	table := parse(t, file(entry("first"), entry("middle", `"read_only":true`), entry("last")))
	for token, want := range map[string]string{
		"token of first":                 "first",
		"token of middle":                "middle",
		"token of last":                  "last",
		"":                               "",
		"token of nobody":                "",
		"token of las":                   "",
		"token of last ":                 "",
		"Token of last":                  "",
		callers.Digest("token of last"):  "", // what the file shows lets nobody in
		"last":                           "",
		strings.Repeat("token ", 1<<16):  "",
		"token of first\x00":             "",
		"token of firsttoken of middle":  "",
		callers.Digest("token of first"): "",
	} {
		caller, found := table.Find(token)
		if caller.Name != want || found != (want != "") {
			t.Errorf("%.30q finds %q, %v", token, caller.Name, found)
		}
		if found && caller.Digest != callers.Digest(token) {
			t.Errorf("%s has the digest %s", caller.Name, caller.Digest)
		}
		if caller.Policy.ReadOnly != (want == "middle") {
			t.Errorf("%q got the policy of another", want)
		}
	}
	if _, found := new(callers.Table).Find(""); found {
		t.Error("an empty table finds somebody")
	}
}

func TestCallersAreACopy(t *testing.T) {
	table := parse(t, file(entry("a"), entry("b")))
	list := table.Callers()
	if len(list) != 2 || list[0].Name != "a" || list[1].Name != "b" {
		t.Fatalf("%v", list)
	}
	list[0] = list[1]
	if table.Callers()[0].Name != "a" {
		t.Error("the table has changed")
	}
}

func TestNewToken(t *testing.T) {
	token, digest := callers.NewToken()
	random, prefixed := strings.CutPrefix(token, "scnetmcp_")
	if !prefixed || len(random) != 43 {
		t.Errorf("a token of %d characters, prefixed: %v", len(token), prefixed)
	}
	if strings.Trim(random, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Error("a token that cannot stand in a header as it is")
	}
	if digest != callers.Digest(token) {
		t.Error("the digest is not that of the token")
	}
	if another, _ := callers.NewToken(); another == token {
		t.Error("two tokens are the same")
	}
}

func TestDigest(t *testing.T) {
	// The example of FIPS 180, so that other programs can make the digest.
	if got := callers.Digest("abc"); got != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Error(got)
	}
}

func TestCheckName(t *testing.T) {
	for name, valid := range map[string]bool{
		"ci": true, "0": true, "a.b_c-d": true, "local2": true, strings.Repeat("a", 64): true,
		"": false, "local": false, "CI": false, "-ci": false, ".ci": false, "_ci": false, "c i": false, "ci\n": false,
		"昆山": false, strings.Repeat("a", 65): false,
	} {
		if err := callers.CheckName(name); (err == nil) != valid {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestString(t *testing.T) {
	for want, fields := range map[string][]string{
		"ci: reads and changes":           nil,
		"ci: only reads":                  {`"read_only":true`, `"max_targets":5`, `"max_mutations_per_hour":20`},
		"ci: only reads; no tools at all": {`"read_only":true`, `"toolsets":[]`},
		"ci: reads and changes; only toolsets instances workspace; without delete_instances execute_script; " +
			"changes only name:CI-* region:11250; " +
			"never changes prod-*; at most 5 instances a call; at most 4 accelerators a call; " +
			"starts nothing beyond 8 occupied accelerators; at most 20 instances an hour; sees access addresses; " +
			"consent to delete_instances: at least human; consent to execute_script: at least flag; is never asked": {
			`"toolsets":["instances","workspace"]`, `"disable_tools":["delete_instances","execute_script"]`,
			`"allow":["name:CI-*","region:11250"]`, `"protect":["prod-*"]`, `"max_targets":5`, `"max_mutations_per_hour":20`,
			`"max_accelerators":4`, `"max_running_accelerators":8`,
			`"consent":{"execute_script":"flag","delete_instances":"human"}`, `"never_ask":true`, `"allow_access_urls":true`,
		},
	} {
		caller := parse(t, file(entry("ci", fields...))).Callers()[0]
		for _, verb := range []string{"%s", "%v", "%+v"} {
			if got := fmt.Sprintf(verb, caller); got != want {
				t.Errorf("%s prints\n%s, want\n%s", verb, got, want)
			}
		}
	}
}
