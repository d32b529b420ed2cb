package install

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"github.com/tailscale/hujson"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

var server = Server{Name: "scnet", Command: "/opt/scnet-mcp", Args: []string{"serve"}, Env: []Setting{
	{"SCNET_USER", "张三"}, {"SCNET_SECRET_KEY_FILE", "/home/z/secret <key>"},
}}

func none(string) bool { return false }

// samples are configurations as people have them.
var samples = map[string]string{
	"none":            "",
	"empty object":    "{}",
	"object and line": "{\n}\n",
	"empty list":      "{\n  \"LIST\": {}\n}\n",
	"empty in lines":  "{\n  \"LIST\": {\n  }\n}\n",
	"other settings":  "{\n    \"theme\": \"dark\", // by night\n    \"font\": 12\n}\n",
	"other server":    "{\n  \"LIST\": {\n    \"github\": {\n      \"command\": \"gh\"\n    }\n  },\n  \"last\": true\n}",
	"tabs":            "{\n\t\"LIST\": {\n\t\t\"github\": {\"command\": \"gh\"}\n\t}\n}\n",
	"comments":        "// mine\n{\n  /* all */ \"LIST\": { // here\n    \"a\": {}, // the first\n    // \"b\": {},\n    \"c\": {} // the last\n    // nothing after it\n  }\n}\n",
	"trailing commas": "{\n  \"LIST\": {\n    \"a\": {},\n  },\n}\n",
	"only a comment":  "{\n  \"LIST\": {\n    // none yet\n  }\n}\n",
	"one line":        `{"LIST": {"a": {"command": "x"}}, "b": 1}`,
	"one line spaced": `{ "LIST": { "a": 1 } }`,
	"CRLF":            "{\r\n  \"LIST\": {\r\n    \"a\": {}\r\n  }\r\n}\r\n",
	"BOM":             "\xef\xbb\xbf{\r\n\t\"x\": 1\r\n}",
	"escaped":         "{\"\\u004cIST\": {\"\\\"\": \"}\"}}",
}

var tomlSamples = map[string]string{
	"none":              "",
	"settings":          "model = \"o5\" # mine\n",
	"no end of line":    "model = \"o5\"",
	"other server":      "[mcp_servers.github]\ncommand = \"gh\"\n\n[mcp_servers.github.env]\nX = \"1\"\n",
	"parent table":      "[mcp_servers]\n\n[mcp_servers.a]\ncommand = \"a\"\n# the end\n",
	"brackets in texts": "prompt = \"\"\"\n[mcp_servers.scnet]\n\"\"\"\nlist = [\n  [1],\n]\n",
	"CRLF":              "a = 1\r\n\r\n[b]\r\nc = 2\r\n",
}

// each calls f for a client of every kind of configuration, with every sample.
func each(t *testing.T, f func(t *testing.T, c Client, sample string)) {
	seen := map[string]bool{}
	for _, c := range Clients() {
		if seen[c.list] {
			continue
		}
		seen[c.list] = true
		all := samples
		if c.format == tomlFormat {
			all = tomlSamples
		}
		for name, sample := range all {
			t.Run(c.Name+"/"+name, func(t *testing.T) { f(t, c, strings.ReplaceAll(sample, "LIST", c.list)) })
		}
	}
}

func TestRoundTrip(t *testing.T) {
	each(t, func(t *testing.T, c Client, sample string) {
		path := filepath.Join(t.TempDir(), "config")
		if sample != "" {
			put(t, path, sample)
		}
		change, err := c.Add(path, server, none)
		if err != nil {
			t.Fatal(err)
		}
		if change.Updates || change.IsEmpty() {
			t.Fatalf("a first installation: %+v", change)
		}
		if _, err := change.Apply(); err != nil {
			t.Fatal(err)
		}
		entry := c.entryIn(t, path)
		if entry["command"] != server.Command || entry["env"].(map[string]any)["SCNET_SECRET_KEY_FILE"] != server.Env[1].Value {
			t.Fatalf("%v in\n%s", entry, get(t, path))
		}
		again, err := c.Add(path, server, none)
		if err != nil || !again.IsEmpty() {
			t.Errorf("installed again: %v\n%s", err, again.Diff(lang.English))
		}
		removal, err := c.Remove(path, server.Name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := removal.Apply(); err != nil {
			t.Fatal(err)
		}
		if sample == "" {
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("what was not there is left: %q", get(t, path))
			}
		} else if got := get(t, path); got != sample {
			t.Errorf("after the removal:\n%q\nbefore:\n%q", got, sample)
		}
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) > 1 {
			t.Errorf("left behind: %v", left)
		}
	})
}

// TestRoundTripWithoutBackup says the same where the user has removed the copy or gone on writing: only what was added goes.
func TestRoundTripWithoutBackup(t *testing.T) {
	each(t, func(t *testing.T, c Client, sample string) {
		if sample == "" {
			return
		}
		path := filepath.Join(t.TempDir(), "config")
		put(t, path, sample)
		before := c.everything(t, path)
		apply(t, c, path, server)
		if err := os.Remove(path + backupSuffix); err != nil {
			t.Fatal(err)
		}
		removal, err := c.Remove(path, server.Name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := removal.Apply(); err != nil {
			t.Fatal(err)
		}
		after := map[string]any{}
		if _, err := os.Stat(path); err == nil { // where nothing else is in it, the file goes
			after = c.everything(t, path)
		}
		for _, all := range []map[string]any{before, after} {
			if servers, ok := all[c.list].(map[string]any); ok && len(servers) == 0 {
				delete(all, c.list)
			}
		}
		if a, b := text(t, before), text(t, after); a != b {
			t.Errorf("%s\n%s", a, b)
		}
	})
}

// TestStyle pins what a user sees in a diff.
func TestStyle(t *testing.T) {
	c, _ := Find("cursor")
	path := filepath.Join(t.TempDir(), "mcp.json")
	put(t, path, "{\n\t\"mcpServers\": {\n\t\t\"github\": {\n\t\t\t\"env\": {\"TOKEN\": \"ghp_secret\"} // mine\n\t\t}\n\t}\n}\n")
	change, err := c.Add(path, server, none)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(change.Diff(lang.English), change.File, "PATH")
	want := "--- PATH\n+++ PATH\n@@ -3,4 +3,14 @@\n \t\t\"github\": {\n \t\t\t\"env\": {\"TOKEN\": \"…\"} // mine\n" +
		"+\t\t},\n+\t\t\"scnet\": {\n+\t\t\t\"command\": \"/opt/scnet-mcp\",\n+\t\t\t\"args\": [\n+\t\t\t\t\"serve\"\n+\t\t\t],\n" +
		"+\t\t\t\"env\": {\n+\t\t\t\t\"SCNET_USER\": \"张三\",\n+\t\t\t\t\"SCNET_SECRET_KEY_FILE\": \"/home/z/secret <key>\"\n+\t\t\t}\n" +
		" \t\t}\n \t}\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestUpdate(t *testing.T) {
	stale := func(name string) bool { return name == "SCNET_TOKEN" }
	for _, c := range Clients() {
		path := filepath.Join(t.TempDir(), "config")
		old := server
		old.Command = "/old/scnet-mcp"
		old.Env = append([]Setting{{"SCNET_TOKEN", "old"}, {"MINE", "kept"}}, server.Env...)
		apply(t, c, path, old)
		if c.format == tomlFormat {
			put(t, path, strings.Replace(get(t, path), "command =", "startup_timeout_sec = 20\ncommand =", 1))
		} else {
			put(t, path, strings.Replace(get(t, path), `"command":`, `"disabled": false, "command":`, 1))
		}
		change, err := c.Add(path, server, stale)
		if err != nil {
			t.Fatal(c.Name, err)
		}
		if !change.Updates {
			t.Errorf("%s: not an update", c.Name)
		}
		if backup, err := change.Apply(); err != nil || backup != "" {
			t.Errorf("%s: %q, %v: the copy is of the time before the first installation", c.Name, backup, err)
		}
		entry := c.entryIn(t, path)
		env := entry["env"].(map[string]any)
		if entry["command"] != server.Command || env["MINE"] != "kept" || env["SCNET_TOKEN"] != nil || env["SCNET_USER"] != "张三" {
			t.Errorf("%s: %v", c.Name, entry)
		}
		if entry["disabled"] == nil && entry["startup_timeout_sec"] == nil {
			t.Errorf("%s: the user's own setting is gone: %v", c.Name, entry)
		}
	}
}

// TestBroken checks that what cannot be changed with care is not changed at all.
func TestBroken(t *testing.T) {
	for name, test := range map[string]struct{ client, content, want string }{
		"not JSON":            {"cursor", "{\n \"a\": ]", "not JSON"},
		"a list":              {"cursor", "[]", "not an object"},
		"servers as a list":   {"cursor", `{"mcpServers": []}`, "not an object"},
		"an entry as a text":  {"cursor", `{"mcpServers": {"scnet": "x"}}`, "not an object"},
		"twice":               {"cursor", `{"mcpServers": {}, "mcpServers": {}}`, "twice"},
		"not TOML":            {"codex", "a = \n", "not TOML: line 1"},
		"an inline table":     {"codex", `mcp_servers = {scnet = {command = "x"}}`, "does not change"},
		"inline of others":    {"codex", `mcp_servers = {a = {command = "x"}}`, "cannot be put into it"},
		"dotted keys":         {"codex", "mcp_servers.scnet.command = \"x\"\n", "does not change"},
		"section in a string": {"codex", "a = '''\n[mcp_servers.scnet]\nx\n'''\n[mcp_servers]\nscnet = {command = \"x\"}\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := Find(test.client)
			path := filepath.Join(t.TempDir(), "config")
			put(t, path, test.content)
			_, err := c.Add(path, server, none)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if get(t, path) != test.content {
				t.Error("the file was changed")
			}
		})
	}
}

func TestApply(t *testing.T) {
	c, _ := Find("cursor")
	t.Run("a symbolic link stays one", func(t *testing.T) {
		folder := t.TempDir()
		target, link := filepath.Join(folder, "dotfiles", "mcp.json"), filepath.Join(folder, "mcp.json")
		if err := os.Mkdir(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		put(t, target, "{}")
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		apply(t, c, link, server)
		if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("%v, %v", info, err)
		}
		if !strings.Contains(get(t, target), "scnet") {
			t.Error("the target was not changed")
		}
	})
	t.Run("a link to nothing", func(t *testing.T) {
		link := filepath.Join(t.TempDir(), "mcp.json")
		if err := os.Symlink(link+".gone", link); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Add(link, server, none); err == nil {
			t.Error("it was taken for a file")
		}
	})
	t.Run("a read-only file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "mcp.json")
		put(t, path, "{}")
		if err := os.Chmod(path, 0o444); err != nil {
			t.Fatal(err)
		}
		change, err := c.Add(path, server, none)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := change.Apply(); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%v", err)
		}
		if get(t, path) != "{}" {
			t.Error("the file was changed")
		}
	})
	t.Run("changed in the meantime", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "mcp.json")
		put(t, path, "{}")
		change, err := c.Add(path, server, none)
		if err != nil {
			t.Fatal(err)
		}
		put(t, path, `{"a": 1}`)
		if _, err := change.Apply(); err == nil || get(t, path) != `{"a": 1}` {
			t.Errorf("%v, %s", err, get(t, path))
		}
	})
	t.Run("modes", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "below", "mcp.json")
		apply(t, c, path, server)
		info, err := os.Stat(path)
		if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	})
}

func TestSecretFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "scnet-mcp", "secret-key")
	for _, secret := range []string{"first", "second"} {
		if err := WriteSecret(path, secret); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteSecret(path, "third"); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 || get(t, path) != "third\n" {
		t.Errorf("%v, %v, %q", info.Mode(), err, get(t, path))
	}
}

func TestFiles(t *testing.T) {
	none := func(string) string { return "" }
	for name, system := range map[string]System{
		"linux": {"linux", "/home/z", none},
		"xdg": {"linux", "/home/z", func(name string) string {
			return map[string]string{"XDG_CONFIG_HOME": "/cfg", "CODEX_HOME": "/codex"}[name]
		}},
		"darwin":  {"darwin", "/Users/z", none},
		"windows": {"windows", `C:\Users\z`, func(name string) string { return map[string]string{"APPDATA": `C:\Users\z\AppData\Roaming`}[name] }},
	} {
		for _, want := range strings.Split(strings.TrimSpace(wantedFiles[name]), "\n") {
			client, file, _ := strings.Cut(want, " ")
			c, found := Find(client)
			if got := c.File(system); !found || got != file {
				t.Errorf("%s on %s: %q, want %q", client, name, got, file)
			}
		}
	}
}

var wantedFiles = map[string]string{
	"linux": `
vscode /home/z/.config/Code/User/mcp.json
cursor /home/z/.cursor/mcp.json
claude-desktop /home/z/.config/Claude/claude_desktop_config.json
claude-code /home/z/.claude.json
windsurf /home/z/.codeium/windsurf/mcp_config.json
zed /home/z/.config/zed/settings.json
codex /home/z/.codex/config.toml
gemini /home/z/.gemini/settings.json
jetbrains /home/z/.junie/mcp/mcp.json
trae /home/z/.config/Trae/User/mcp.json
mcp.json mcp.json`,
	"xdg": `
vscode /cfg/Code/User/mcp.json
zed /cfg/zed/settings.json
codex /codex/config.toml`,
	"darwin": `
vscode /Users/z/Library/Application Support/Code/User/mcp.json
cursor /Users/z/.cursor/mcp.json
claude-desktop /Users/z/Library/Application Support/Claude/claude_desktop_config.json
zed /Users/z/.config/zed/settings.json
trae-cn /Users/z/Library/Application Support/Trae CN/User/mcp.json`,
	"windows": `
vscode C:\Users\z\AppData\Roaming\Code\User\mcp.json
cursor C:\Users\z\.cursor\mcp.json
claude-desktop C:\Users\z\AppData\Roaming\Claude\claude_desktop_config.json
zed C:\Users\z\AppData\Roaming\Zed\settings.json
codex C:\Users\z\.codex\config.toml`,
}

func TestLinks(t *testing.T) {
	for name, read := range map[string]func(t *testing.T, link *url.URL) string{
		"vscode": func(t *testing.T, link *url.URL) string {
			text, err := url.PathUnescape(link.RawQuery)
			if err != nil {
				t.Fatal(err)
			}
			return text
		},
		"cursor":        func(t *testing.T, link *url.URL) string { return decode(t, link.Query().Get("config")) },
		"trae-cn":       func(t *testing.T, link *url.URL) string { return decode(t, link.Query().Get("config")) },
		"cherry-studio": func(t *testing.T, link *url.URL) string { return decode(t, link.Query().Get("servers")) },
	} {
		c, _ := Find(name)
		link, err := url.Parse(c.Link(server))
		if err != nil {
			t.Fatal(err)
		}
		config := read(t, link)
		if !json.Valid([]byte(config)) || !strings.Contains(config, `"command":"/opt/scnet-mcp"`) || !strings.Contains(config, "张三") {
			t.Errorf("%s: %s", name, config)
		}
	}
}

func decode(t *testing.T, text string) string {
	t.Helper()
	plain, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

func TestSnippets(t *testing.T) {
	for _, c := range Clients() {
		text, err := c.Snippet(server)
		if err != nil || !strings.Contains(text, "/opt/scnet-mcp") || !strings.Contains(text, c.list) {
			t.Errorf("%s: %v\n%s", c.Name, err, text)
		}
	}
}

// FuzzJSON checks that adding and removing never changes what else a configuration says, whatever it looks like.
func FuzzJSON(f *testing.F) {
	for _, sample := range samples {
		f.Add([]byte(strings.ReplaceAll(sample, "LIST", "mcpServers")))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		before, err := standard(content)
		if err != nil {
			return
		}
		doc := jsonFile(content)
		path := []string{"mcpServers", "scnet"}
		if doc.holds(path...) {
			return
		}
		with, err := doc.set(path, server.entry(nil))
		if err != nil {
			return
		}
		if !with.holds(path...) {
			t.Fatalf("%q became %q", content, with)
		}
		all, err := with.without(path)
		if err != nil || len(all) == 0 {
			t.Fatalf("%v: %q became %q", err, content, with)
		}
		for _, text := range all {
			if bytes.Equal(text, content) {
				return
			}
		}
		after, err := standard(all[0])
		if err != nil || (after != before && !strings.Contains(after, `"mcpServers":{}`)) {
			t.Fatalf("%q became %q and then %q", content, with, all[0])
		}
	})
}

// standard returns a text as plain JSON in one form.
func standard(content []byte) (string, error) {
	plain, err := hujson.Standardize(bytes.Clone(content))
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = json.Compact(&b, plain)
	return b.String(), err
}

// FuzzTOML does the same for the other format.
func FuzzTOML(f *testing.F) {
	for _, sample := range tomlSamples {
		f.Add([]byte(sample))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		doc := tomlFile(content)
		with, err := doc.set("mcp_servers", server, none)
		if err != nil {
			return
		}
		if !with.holds("mcp_servers", "scnet") {
			t.Fatalf("%q became %q", content, with)
		}
		if doc.holds("mcp_servers", "scnet") {
			return
		}
		all, err := with.without("mcp_servers", "scnet")
		if err != nil || len(all) == 0 {
			t.Fatalf("%v: %q became %q", err, content, with)
		}
		for _, text := range all {
			if bytes.Equal(text, content) {
				return
			}
		}
		t.Fatalf("%q became %q and then %q", content, with, all[0])
	})
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func apply(t *testing.T, c Client, path string, server Server) {
	t.Helper()
	change, err := c.Add(path, server, none)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := change.Apply(); err != nil {
		t.Fatal(err)
	}
}

// everything reads a configuration as its client would.
func (c Client) everything(t *testing.T, path string) map[string]any {
	t.Helper()
	content := bytes.TrimPrefix([]byte(get(t, path)), bom)
	all := map[string]any{}
	var err error
	if c.format == tomlFormat {
		err = toml.Unmarshal(content, &all)
	} else if content, err = hujson.Standardize(content); err == nil {
		err = json.Unmarshal(content, &all)
	}
	if err != nil {
		t.Fatalf("%v in\n%s", err, get(t, path))
	}
	return all
}

func (c Client) entryIn(t *testing.T, path string) map[string]any {
	t.Helper()
	return entryOf(c.everything(t, path), c.list, server.Name)
}

func text(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
