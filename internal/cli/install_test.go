package cli

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/install"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// home gives the test a user's folder of its own.
func home(t *testing.T) (folder string, env map[string]string) {
	t.Helper()
	folder = t.TempDir()
	return folder, map[string]string{
		"HOME": folder, "USERPROFILE": folder, "APPDATA": filepath.Join(folder, "AppData"), "XDG_CONFIG_HOME": "", "CODEX_HOME": "",
	}
}

func TestInstallDemo(t *testing.T) {
	for _, c := range install.Clients() {
		t.Run(c.Name, func(t *testing.T) {
			folder, env := home(t)
			file := filepath.Join(folder, "config")
			arguments := []string{"install", c.Name, "--demo", "--command", "/opt/scnet-mcp", "--file", file}
			if code, out, errs := run(t, env, "", arguments...); code != 3 || !strings.Contains(errs, "--yes") || exists(file) {
				t.Fatalf("without --yes: exit %d\n%s%s", code, out, errs)
			}
			code, out, errs := run(t, env, "", append(arguments, "--yes", "--", "--read-only", "--max-targets=3")...)
			if code != 0 {
				t.Fatalf("exit %d\n%s%s", code, out, errs)
			}
			contains(t, "output", out, "--- (no file)", "/opt/scnet-mcp", "--read-only", "--max-targets=3", "--demo", c.Next.String(), "doctor says", "ok    tools")
			code, out, errs = run(t, env, "", "uninstall", c.Name, "--file", file, "--yes")
			if code != 0 || exists(file) {
				t.Fatalf("exit %d\n%s%s", code, out, errs)
			}
			contains(t, "output", out, "+++ (no file)", "was removed")
			if code, out, _ = run(t, env, "", "install", c.Name, "--remove", "--file", file, "--yes"); code != 0 {
				t.Errorf("exit %d", code)
			}
			contains(t, "output", out, "Nothing was changed")
		})
	}
}

// TestInstallWithSecrets checks that a secret of the shell ends up in a private file, that no configuration, output or diff
// holds it, and that doctor sees what the client will see.
func TestInstallWithSecrets(t *testing.T) {
	folder, env := home(t)
	s, cfg, err := startSimulator("127.0.0.1:0", simulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	env["SCNET_LOGIN_URL"], env["SCNET_AC_URL"], env["SCNET_USER"] = s.URL(), s.URL(), cfg.User
	env["SCNET_ACCESS_KEY"], env["SCNET_SECRET_KEY"] = cfg.AccessKey.Reveal(), cfg.SecretKey.Reveal()
	code, out, errs := run(t, env, "", "install", "cursor", "--yes", "--command", "/opt/scnet-mcp")
	if code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	contains(t, "output", out, "A secret goes into ", "SCNET_SECRET_KEY_FILE", "ok    login")
	config, err := os.ReadFile(filepath.Join(folder, ".cursor", "mcp.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{cfg.AccessKey.Reveal(), cfg.SecretKey.Reveal()} {
		if strings.Contains(out+errs+string(config), secret) {
			t.Errorf("a secret is shown or written:\n%s%s%s", out, errs, config)
		}
	}
	userConfig, err := os.UserConfigDir()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(userConfig, "scnet-mcp", "scnet", "SCNET_SECRET_KEY")
	content, err := os.ReadFile(file)
	if err != nil || strings.TrimSpace(string(content)) != cfg.SecretKey.Reveal() {
		t.Errorf("%v", err)
	}
	if info, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	_, out, _ = run(t, env, "", "uninstall", "cursor", "--yes")
	contains(t, "output", out, "Secrets are still in "+filepath.Dir(file))
}

func TestInstallRefuses(t *testing.T) {
	_, env := home(t)
	for name, test := range map[string]struct {
		env  map[string]string
		args []string
		want string
	}{
		"unknown client":       {nil, []string{"emacs"}, "cherry-studio"},
		"bad name":             {nil, []string{"cursor", "--name", "a b"}, "not a name"},
		"no credentials":       {nil, []string{"cursor"}, "no credentials"},
		"half a credential":    {map[string]string{"SCNET_USER": "z"}, []string{"cursor"}, "SCNET_ACCESS_KEY"},
		"unknown flag":         {nil, []string{"cursor", "--demo", "--", "--readonly"}, "readonly"},
		"unknown tool":         {nil, []string{"cursor", "--demo", "--", "--disable-tools", "nothing"}, "nothing"},
		"another transport":    {nil, []string{"cursor", "--demo", "--", "--transport", "http"}, "stdio"},
		"print and remove":     {nil, []string{"cursor", "--print", "--remove"}, "can't be used together"},
		"a link without one":   {nil, []string{"zed", "--link", "--demo"}, "--print"},
		"uninstall a stranger": {nil, []string{"emacs", "--remove"}, "cherry-studio"},
	} {
		t.Run(name, func(t *testing.T) {
			all := map[string]string{}
			for _, some := range []map[string]string{env, test.env} {
				for name, value := range some {
					all[name] = value
				}
			}
			code, _, errs := run(t, all, "", append([]string{"install", "--command", "/opt/scnet-mcp"}, test.args...)...)
			if code == 0 || !strings.Contains(errs, test.want) {
				t.Errorf("exit %d, %q is missing in:\n%s", code, test.want, errs)
			}
		})
	}
}

func TestInstallPrintsAndLinks(t *testing.T) {
	_, env := home(t)
	for _, c := range install.Clients() {
		code, out, errs := run(t, env, "", "install", c.Name, "--print", "--command", "/opt/scnet-mcp")
		if code != 0 {
			t.Errorf("%s: exit %d: %s", c.Name, code, errs)
		}
		contains(t, c.Name, out, "/opt/scnet-mcp", "SCNET_SECRET_KEY_FILE", "your login name")
		contains(t, c.Name, errs, "Put the secret into ")
		if c.Link(install.Server{}) == "" {
			continue
		}
		code, out, _ = run(t, env, "", "install", c.Name, "--link", "--demo", "--command", "/opt/scnet-mcp")
		if code != 0 || !strings.Contains(out, "://") && !strings.HasPrefix(out, "vscode:") {
			t.Errorf("%s: exit %d: %s", c.Name, code, out)
		}
	}
}

func TestInstallLists(t *testing.T) {
	folder, env := home(t)
	if code, _, errs := run(t, env, "", "install", "claude-code", "--demo", "--yes", "--command", "/opt/scnet-mcp"); code != 0 {
		t.Fatal(errs)
	}
	if err := os.Mkdir(filepath.Join(folder, ".cursor"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, ".cursor", "mcp.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := run(t, env, "", "install")
	if code != 0 {
		t.Fatal(errs)
	}
	states := map[string]string{"claude-code": "installed", "cursor": "cannot be read", "zed": "no file", "cherry-studio": "asks for"}
	for line := range strings.Lines(out) {
		for client, state := range states {
			if strings.HasPrefix(line, client+" ") && strings.Contains(line, state) {
				delete(states, client)
			}
		}
	}
	if len(states) > 0 {
		t.Errorf("%v is missing in\n%s", states, out)
	}
}

// TestAskedCredentials checks what a person is asked at a terminal, and that nothing is made of half the answers.
func TestAskedCredentials(t *testing.T) {
	var k keeper
	err := k.ask(func(question lang.Text, hidden bool) (string, error) {
		if hidden != strings.Contains(question.String(), "Secret") {
			t.Errorf("%q hidden: %t", question, hidden)
		}
		return " " + strings.ToLower(question.String()[:6]) + "\n", nil
	})
	if err != nil || len(k.settings) != 3 || len(k.secrets) != 2 || k.settings[0] != (install.Setting{Name: "SCNET_USER", Value: "scnet"}) {
		t.Errorf("%v, %+v", err, k)
	}
	gone := errors.New("gone")
	var half keeper
	if err := half.ask(func(lang.Text, bool) (string, error) { return "", gone }); !errors.Is(err, gone) || len(half.settings) > 0 {
		t.Errorf("%v, %+v", err, half)
	}
}

// A client starts the program long after npx has cleared its cache.
func TestInstallOfATemporaryProgram(t *testing.T) {
	for path, want := range map[string]bool{
		"/tmp/go-build12/b001/exe/scnet-mcp":                                              true,
		"/home/u/.npm/_npx/6f1a/node_modules/@scnet-mcp/linux-x64/bin/scnet-mcp":          true,
		"/usr/lib/node_modules/scnet-mcp/node_modules/@scnet-mcp/linux-x64/bin/scnet-mcp": false,
		"/home/u/go/bin/scnet-mcp":                                                        false,
	} {
		if got := temporary(path); got != want {
			t.Errorf("%s: %t", path, got)
		}
	}
}
