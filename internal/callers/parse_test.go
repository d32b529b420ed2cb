package callers_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/callers"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

func TestParse(t *testing.T) {
	digest := strings.ToUpper(callers.Digest("t"))
	table := parse(t, []byte(`
{ "callers" : [
  {"consent":{"execute_script":"human"}, "name":"ci", "token_sha256":"`+digest+`", "read_only":true, "toolsets":["instances"],
   "disable_tools":["delete_instances"], "allow":["name:ci-*", "id:x"], "protect":["prod-*"], "max_targets":5,
   "max_mutations_per_hour":20, "never_ask":true, "allow_access_urls":true}
] }
`))
	caller := table.Callers()[0]
	want := guard.Policy{
		Caller: "ci", ReadOnly: true, Toolsets: []string{"instances"}, DisabledTools: []string{"delete_instances"},
		Allow: [][]guard.Pattern{{pattern(t, "name:ci-*"), pattern(t, "id:x")}}, Protect: []guard.Pattern{pattern(t, "prod-*")},
		MaxTargets: 5, NeverAsk: true, AllowAccessURLs: true,
	}
	got := caller.Policy
	if !maps.Equal(got.Consent, map[string]guard.Level{"execute_script": guard.Human}) {
		t.Errorf("consent: %v", got.Consent)
	}
	got.Consent = want.Consent
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if caller.Name != "ci" || caller.MaxMutationsPerHour != 20 || caller.Digest != callers.Digest("t") {
		t.Errorf("%s, %d, %s", caller.Name, caller.MaxMutationsPerHour, caller.Digest)
	}
}

func pattern(t *testing.T, text string) guard.Pattern {
	t.Helper()
	p, err := guard.ParsePattern(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestDefaults says what a field that is left out or empty means.
func TestDefaults(t *testing.T) {
	for name, c := range map[string]struct {
		field    string
		toolsets []string
	}{
		"only what is required": {``, nil},
		"toolsets empty":        {`"toolsets":[]`, []string{}},
		"no consent":            {`"consent":{}`, nil},
		"false":                 {`"read_only":false,"never_ask":false,"allow_access_urls":false`, nil},
	} {
		var more []string
		if c.field != "" {
			more = append(more, c.field)
		}
		caller := parse(t, file(entry("ci", more...))).Callers()[0]
		p := caller.Policy
		if (p.Toolsets == nil) != (c.toolsets == nil) || len(p.Toolsets) != 0 {
			t.Errorf("%s: toolsets %#v, want %#v", name, p.Toolsets, c.toolsets)
		}
		if p.ReadOnly || p.NeverAsk || p.AllowAccessURLs || len(p.Allow) > 0 || len(p.Protect) > 0 || len(p.DisabledTools) > 0 || len(p.Consent) > 0 ||
			p.MaxTargets != 0 || caller.MaxMutationsPerHour != 0 {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestByteOrderMark(t *testing.T) {
	parse(t, append([]byte("\ufeff"), file(entry("ci"))...))
}

// refuses checks that Parse refuses each text with an error that holds what is wanted.
func refuses(t *testing.T, texts map[string]string, data func(text string) []byte) {
	t.Helper()
	for text, want := range texts {
		table, err := callers.Parse(data(text), known)
		if err == nil || table != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.200s\ngives %v\nwant  %s", text, err, want)
		}
	}
}

func TestFileProblems(t *testing.T) {
	a, b := entry("a"), entry("b")
	refuses(t, map[string]string{
		``:                             "the callers file cannot be read: the text is not valid JSON",
		"{\"callers\":\n[\n}":          "is not valid JSON from byte 15 of 15 on, in line 3",
		string(file(a)) + "\n{}":       "is not valid JSON from byte 110 of 111 on, in line 2",
		"// callers\n{}":               "is not valid JSON from byte 1 of 13 on",
		strings.Repeat("[", 20000):     "is not valid JSON from byte 10001",
		"{\"callers\":\"\xff\"}":       "is not valid UTF-8",
		"\xff\xfe{\x00":                "is not valid UTF-8",
		strings.Repeat(" ", 1<<20) + a: "larger than 1048576 bytes",
		`[]`:                           "the callers file: must be an object",
		`null`:                         "the callers file: must be an object",
		`{}`:                           "the field callers is missing",
		`{"version":1}`:                `there is no field "version"; valid are callers`,
		`{"Callers":[` + a + `]}`:      `there is no field "Callers"`,
		`{"callers":{}}`:               "callers: must be a list of callers",
		`{"callers":null}`:             "callers: must be a list of callers",
		`{"callers":[]}`:               "callers: there must be at least one; scnet-mcp callers new NAME",
		`{"callers":["ci"]}`:           "callers[0]: must be an object",
		`{"callers":[null]}`:           "callers[0]: must be an object",
		`{"callers":[{}]}`:             "callers[0].token_sha256: is missing",
		string(file(a, b, a)):          `callers[2].name: "a" is the name of callers[0] already`,
		string(file(entry("CI"))):      "callers[0].name: is not valid; it must match ^[a-z0-9]",
		string(file(entry("local"))):   `callers[0].name: "local" is reserved`,
		`{"callers":[{"name":"a"}]}`:   "callers[0].token_sha256: is missing",
		`{"callers":[{"name":1}]}`:     "callers[0].name: must be a string",
		`{"callers":[` + a + `],"callers":[` + b + `]}`:                  "callers: given more than once; give it once",
		`{"callers":[` + strings.Replace(a, `"name":"a",`, "", 1) + `]}`: "callers[0].name: is missing",
	}, func(text string) []byte { return []byte(text) })
}

func TestDigestProblems(t *testing.T) {
	const form = "callers[1].token_sha256: must be the SHA-256 of the token as 64 hexadecimal digits"
	digest := callers.Digest("x")
	refuses(t, map[string]string{
		`"ab12"`:                            form,
		`""`:                                form,
		`"` + digest + `00"`:                form,
		`"` + strings.Repeat("g", 64) + `"`: form,
		`" ` + digest[1:] + `"`:             form,
		`null`:                              form,
		`7`:                                 form,
		`"scnetmcp_x"`:                      "callers[1].token_sha256: is a token; it must be the SHA-256",
		strings.ToUpper(`"` + callers.Digest("") + `"`):               "callers[1].token_sha256: is the SHA-256 of nothing",
		strings.ToUpper(`"` + callers.Digest("token of first") + `"`): "callers[1].token_sha256: is the token of callers[0] already",
	}, func(text string) []byte { return file(entry("first"), `{"name":"a","token_sha256":`+text+`}`) })
}

func TestFieldProblems(t *testing.T) {
	const (
		fields = "valid are name, token_sha256, oauth, read_only, toolsets, disable_tools, allow, protect, max_targets, " +
			"max_accelerators, max_running_accelerators, allow_access_urls, max_mutations_per_hour, consent, never_ask"
		whole = "must be a whole number of at least 1"
	)
	refuses(t, map[string]string{
		`"readonly":true`:                        `callers[0]: there is no field "readonly"; ` + fields,
		`"Read_Only":true`:                       `callers[0]: there is no field "Read_Only"`,
		`"read_only":true,"read_only":false`:     "callers[0].read_only: given more than once; give it once",
		`"read_only":true,"read\u005fonly":null`: "callers[0].read_only: given more than once",
		`"read_only":"yes"`:                      "callers[0].read_only: must be true or false",
		`"read_only":null`:                       "callers[0].read_only: must be true or false",
		`"never_ask":1`:                          "callers[0].never_ask: must be true or false",
		`"allow_access_urls":"true"`:             "callers[0].allow_access_urls: must be true or false",

		`"toolsets":["instances","instance"]`: `callers[0].toolsets[1]: there is no toolset "instance"; valid are instances, workspace`,
		`"toolsets":"instances"`:              "callers[0].toolsets: must be a list of strings",
		`"toolsets":[null]`:                   "callers[0].toolsets[0]: must be a string",
		`"disable_tools":["delete"]`:          `callers[0].disable_tools[0]: there is no tool "delete"; valid are list_`,
		`"disable_tools":null`:                "callers[0].disable_tools: must be a list of strings",

		`"allow":["x","colour:red"]`: `callers[0].allow[1]: pattern "colour:red": "colour" is not id, name or region`,
		`"allow":[]`:                 "callers[0].allow: is empty, and so no limit",
		`"toolsets":null`:            "callers[0].toolsets: must be a list of strings",
		`"protect":[]`:               "callers[0].protect: is empty, and so no limit",
		`"disable_tools":[]`:         "callers[0].disable_tools: is empty, and so no limit",
		`"allow":null`:               "callers[0].allow: must be a list of patterns",
		`"protect":[" "]`:            "callers[0].protect[0]: pattern",
		`"protect":[null]`:           "callers[0].protect[0]: must be a string",
		`"protect":["a","a b"]`:      "callers[0].protect[1]: pattern",
		`"protect":["name:"]`:        "valid are id:ID, name:GLOB, region:ID or name",
		`"protect":["a",1]`:          "callers[0].protect[1]: must be a string",
		`"protect":null`:             "callers[0].protect: must be a list of patterns",

		`"max_targets":0`:                    "callers[0].max_targets: " + whole + "; read_only forbids every change",
		`"max_targets":-1`:                   "callers[0].max_targets: " + whole,
		`"max_targets":1.5`:                  "callers[0].max_targets: " + whole,
		`"max_targets":"5"`:                  "callers[0].max_targets: " + whole,
		`"max_targets":99999999999999999999`: "callers[0].max_targets: " + whole,
		`"max_accelerators":0`:               "callers[0].max_accelerators: " + whole,
		`"max_running_accelerators":-1`:      "callers[0].max_running_accelerators: " + whole,
		`"max_mutations_per_hour":0`:         "callers[0].max_mutations_per_hour: " + whole,
		`"max_mutations_per_hour":null`:      "callers[0].max_mutations_per_hour: " + whole,

		`"consent":{"delete":"human"}`:         `callers[0].consent: there is no tool "delete"; valid are list_`,
		`"consent":{"execute_script":"Human"}`: `callers[0].consent.execute_script: "Human" is not a consent level`,
		`"consent":{"execute_script":null}`:    "callers[0].consent.execute_script: must be flag, preview or human",
		`"consent":null`:                       "callers[0].consent: must be an object",
		`"consent":["execute_script"]`:         "callers[0].consent: must be an object",

		`"consent":{"execute_script":"human","execute_script":"flag"}`: "callers[0].consent.execute_script: given more than once",
	}, func(text string) []byte { return file(entry("a", text)) })
}

// TestEveryProblemIsNamed has one problem or more in each caller but the second.
func TestEveryProblemIsNamed(t *testing.T) {
	_, err := callers.Parse([]byte(`{"owner":"x","callers":[
		{"name":"Bad","token_sha256":"12","colour":"red","read_only":1,"toolsets":["x","instances","y"]},
		`+entry("good")+`,
		7,
		{"name":"good","token_sha256":"`+callers.Digest("z")+`","allow":["a:b"],"protect":["a;b"],"max_targets":0},
		{}
	]}`), known)
	if err == nil {
		t.Fatal("no error")
	}
	want := []string{
		`callers[0].name: `, `callers[0].token_sha256: `, `callers[0].read_only: `, `callers[0].toolsets[0]: `,
		`callers[0].toolsets[2]: `, `callers[0]: there is no field "colour"`, `callers[2]: must be an object`,
		`callers[3].name: "good" is the name of callers[1]`,
		`callers[3].allow[0]: `, `callers[3].protect[0]: `, `callers[3].max_targets: `,
		`callers[4].name: is missing`, `callers[4].token_sha256: is missing`, `the callers file: there is no field "owner"`,
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d problems, want %d:\n%v", len(lines), len(want), err)
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, want[i]) {
			t.Errorf("%s\nwant %s", line, want[i])
		}
	}
}

func TestErrorsRepeatNoSecret(t *testing.T) {
	token, digest := callers.NewToken()
	for name, data := range map[string]string{
		"token for digest":      `{"callers":[{"name":"a","token_sha256":"` + token + `"}]}`,
		"cut digest":            `{"callers":[{"name":"a","token_sha256":"` + digest[:60] + `"}]}`,
		"digest twice":          string(file(`{"name":"a","token_sha256":"`+digest+`"}`, `{"name":"b","token_sha256":"`+digest+`"}`)),
		"token for name":        `{"callers":[{"name":"` + token + `","token_sha256":"` + digest + `"}]}`,
		"token in its own name": `{"callers":[{"name":"a","token":"` + token + `"}]}`,
		"broken":                `{"callers":[{"name":"a","token_sha256":"` + token,
	} {
		_, err := callers.Parse([]byte(data), known)
		if err == nil {
			t.Errorf("%s: no error", name)
		} else if text := err.Error(); strings.Contains(text, token[9:20]) || strings.Contains(text, digest[:12]) {
			t.Errorf("%s: a secret is in the error", name)
		}
	}
}

// written is the file as encoding/json understands it, to compare with.
type written struct {
	Callers []struct {
		Name                string            `json:"name"`
		TokenSHA256         string            `json:"token_sha256"`
		OAuth               selector          `json:"oauth"`
		ReadOnly            bool              `json:"read_only"`
		Toolsets            []string          `json:"toolsets"`
		DisableTools        []string          `json:"disable_tools"`
		Allow               []string          `json:"allow"`
		Protect             []string          `json:"protect"`
		MaxTargets          int               `json:"max_targets"`
		MaxMutationsPerHour int               `json:"max_mutations_per_hour"`
		Consent             map[string]string `json:"consent"`
		NeverAsk            bool              `json:"never_ask"`
		AllowAccessURLs     bool              `json:"allow_access_urls"`
	} `json:"callers"`
}

type selector struct {
	Subject  string `json:"sub"`
	ClientID string `json:"client_id"`
	Group    string `json:"group"`
	Role     string `json:"role"`
	Any      bool   `json:"any"`
}

// FuzzParse checks what is accepted against a second way of reading it.
func FuzzParse(f *testing.F) {
	f.Add(file(entry("ci")))
	f.Add(file(entry("a", `"read_only":true`, `"toolsets":[]`, `"allow":["name:ci-*"]`), entry("b", `"max_targets":5`)))
	f.Add(file(entry("a", `"consent":{"execute_script":"human"}`, `"never_ask":true`, `"disable_tools":["delete_instances"]`)))
	f.Add(file(entry("a", `"protect":["region:11250"]`, `"max_mutations_per_hour":20`, `"toolsets":["workspace"]`)))
	f.Add(file(entry("a", `"read_only":true`, `"read_only":false`, `"Read_Only":null`), entry("a")))
	f.Add([]byte(`{"callers":[{}, null, [], {"name":1}]}`))
	f.Add([]byte("\ufeff{}"))
	f.Add(file(`{"name":"a","oauth":{"group":"g","sub":"s"}}`, `{"name":"b","oauth":{"any":true}}`, entry("c")))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := callers.Parse(data, known)
		if err != nil {
			if table != nil || err.Error() == "" {
				t.Errorf("a table %v with the error %q", table, err)
			}
			return
		}
		if err := compare(data, table.Callers()); err != nil {
			t.Error(err)
		}
		if caller, found := table.Find(""); found {
			t.Errorf("%s needs no token", caller)
		}
	})
}

func compare(data []byte, got []callers.Caller) error {
	var want written
	decoder := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&want); err != nil {
		return err
	}
	if len(got) != len(want.Callers) || len(got) == 0 {
		return fmt.Errorf("%d callers, want %d", len(got), len(want.Callers))
	}
	names, digests := map[string]bool{}, map[string]bool{}
	for i, w := range want.Callers {
		c, p := got[i], got[i].Policy
		names[c.Name], digests[cmp.Or(c.Digest, c.Name)] = true, true
		if selector(c.OAuth) != w.OAuth || (c.Digest == "") == (c.OAuth == callers.Selector{}) {
			return fmt.Errorf("selects %+v, want %+v; the digest is %q", c.OAuth, w.OAuth, c.Digest)
		}
		allowed := 0
		for _, list := range p.Allow {
			allowed += len(list)
		}
		if c.Name != w.Name || c.Digest != strings.ToLower(w.TokenSHA256) || c.MaxMutationsPerHour != w.MaxMutationsPerHour ||
			p.ReadOnly != w.ReadOnly || !reflect.DeepEqual(p.Toolsets, w.Toolsets) || len(p.DisabledTools) != len(w.DisableTools) ||
			allowed != len(w.Allow) || len(p.Protect) != len(w.Protect) || p.MaxTargets != w.MaxTargets ||
			len(p.Consent) != len(w.Consent) || p.NeverAsk != w.NeverAsk ||
			p.AllowAccessURLs != w.AllowAccessURLs {
			return fmt.Errorf("got %+v, want %+v", p, w)
		}
		if err := callers.CheckName(c.Name); err != nil {
			return err
		}
	}
	if len(names) != len(got) || len(digests) != len(got) {
		return fmt.Errorf("%d callers with %d names and %d tokens", len(got), len(names), len(digests))
	}
	return nil
}
