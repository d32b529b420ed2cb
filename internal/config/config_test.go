package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/config"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

func environment(values map[string]string) config.Environment {
	return func(name string) (string, bool) {
		value, set := values[name]
		return value, set
	}
}

func secretFile(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestSCNet(t *testing.T) {
	file := secretFile(t, "from-file\n")
	for name, c := range map[string]struct {
		env                    map[string]string
		user, key, secret, tok string
		region                 string
	}{
		"keys": {
			env:  map[string]string{"SCNET_USER": "bob", "SCNET_ACCESS_KEY": "a", "SCNET_SECRET_KEY": " s ", "SCNET_CLUSTER_ID": "11250"},
			user: "bob", key: "a", secret: "s", region: "11250",
		},
		"secret from a file": {
			env:  map[string]string{"SCNET_USER": "bob", "SCNET_ACCESS_KEY": "a", "SCNET_SECRET_KEY_FILE": file},
			user: "bob", key: "a", secret: "from-file",
		},
		"names of a peer": {
			env:  map[string]string{"SCNET_OPENAPI_USER": "eve", "SCNET_OPENAPI_ACCESS_KEY": "a2", "SCNET_OPENAPI_SECRET_KEY": "s2", "SCNET_OPENAPI_REGION_ID": "20057"},
			user: "eve", key: "a2", secret: "s2", region: "20057",
		},
		"families are not mixed": {
			env: map[string]string{
				"SCNET_USER": "bob", "SCNET_ACCESS_KEY": "a", "SCNET_SECRET_KEY": "s", "SCNET_OPENAPI_USER": "eve", "SCNET_OPENAPI_TOKEN": "t",
			},
			user: "bob", key: "a", secret: "s",
		},
		"an empty variable is not set": {
			env: map[string]string{"SCNET_USER": "", "SCNET_OPENAPI_TOKEN": "t", "SCNET_AI_URL": "https://x"}, tok: "t",
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := config.SCNet(environment(c.env))
			if err != nil {
				t.Fatal(err)
			}
			if cfg.User != c.user || cfg.AccessKey.Reveal() != c.key || cfg.SecretKey.Reveal() != c.secret ||
				cfg.Token.Reveal() != c.tok || cfg.Region != c.region {
				t.Errorf("user %q, region %q, or a secret differs", cfg.User, cfg.Region)
			}
		})
	}
}

func TestSCNetProblems(t *testing.T) {
	for name, c := range map[string]struct {
		env       map[string]string
		want, fix string
	}{
		"both forms": {map[string]string{"SCNET_TOKEN": "tok-value", "SCNET_TOKEN_FILE": "/x"},
			"SCNET_TOKEN and SCNET_TOKEN_FILE are both set", "Unset one of them"},
		"no file":     {map[string]string{"SCNET_TOKEN_FILE": filepath.Join(t.TempDir(), "absent")}, "SCNET_TOKEN_FILE", "correct SCNET_TOKEN_FILE"},
		"empty file":  {map[string]string{"SCNET_SECRET_KEY_FILE": secretFile(t, " \n")}, "is empty", "Put the secret into this file"},
		"a directory": {map[string]string{"SCNET_SECRET_KEY_FILE": t.TempDir()}, "is not a file", "correct SCNET_SECRET_KEY_FILE"},
		"nothing":     {nil, "no credential is set", "Set SCNET_USER"},
		"one key":     {map[string]string{"SCNET_ACCESS_KEY": "tok-value"}, "SCNET_USER and SCNET_SECRET_KEY missing", "Set SCNET_USER and SCNET_SECRET_KEY too"},
		"half a token": {map[string]string{"SCNET_OPENAPI_TOKEN": "tok-value"},
			"SCNET_OPENAPI_TOKEN is set, the region's address is missing", "Set SCNET_AI_URL"},
		"only an address": {map[string]string{"SCNET_AI_URL": "https://x"}, "its token is missing", "Set SCNET_TOKEN"},
		"two kinds": {map[string]string{"SCNET_USER": "u", "SCNET_TOKEN": "tok-value", "SCNET_AI_URL": "https://x"},
			"two kinds of credential are both set", "Unset SCNET_TOKEN and SCNET_AI_URL"},
		"two families, neither complete": {map[string]string{"SCNET_USER": "u", "SCNET_OPENAPI_SECRET_KEY": "tok-value"},
			"SCNET_USER and SCNET_OPENAPI_SECRET_KEY belong to two sets", "unset SCNET_USER"},
		"two families, the second complete": {
			map[string]string{"SCNET_USER": "u", "SCNET_OPENAPI_USER": "u", "SCNET_OPENAPI_ACCESS_KEY": "a", "SCNET_OPENAPI_SECRET_KEY": "tok-value"},
			"never mixed", "Complete the first set"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.SCNet(environment(c.env))
			if !errors.Is(err, scnet.ErrConfig) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "tok-value") {
				t.Errorf("err = %v", err)
			}
			var problem *config.Problem
			if !errors.As(err, &problem) || !strings.Contains(problem.Hint().String(), c.fix) || strings.Contains(problem.Hint().String(), "tok-value") {
				t.Errorf("the fix is %q, want %q", problem.Hint().String(), c.fix)
			}
			if errors.Is(err, scnet.ErrNoCredential) != (name == "nothing") {
				t.Errorf("%v: no credential at all: %v", err, name != "nothing")
			}
		})
	}
}

func TestWorkspace(t *testing.T) {
	file := secretFile(t, "from-file\n")
	for name, c := range map[string]struct {
		env   map[string]string
		set   bool
		ak    string
		sk    string
		fails []string
	}{
		"nothing":       {nil, false, "", "", nil},
		"a region only": {map[string]string{"HUAWEICLOUD_SDK_REGION": "cn-north-4"}, false, "", "", nil},
		"keys": {map[string]string{"HUAWEICLOUD_SDK_AK": "a", "HUAWEICLOUD_SDK_SK_FILE": file, "HUAWEICLOUD_SDK_REGION": "cn-north-4"},
			true, "a", "from-file", nil},
		"half": {map[string]string{"HUAWEICLOUD_SDK_SK": "s"}, true, "", "",
			[]string{"HUAWEICLOUD_SDK_SK is set, HUAWEICLOUD_SDK_AK is missing", "the region is missing"}},
		"the other half": {map[string]string{"HUAWEICLOUD_SDK_AK": "a", "HUAWEICLOUD_WORKSPACE_ENDPOINT": "https://x"}, true, "", "",
			[]string{"HUAWEICLOUD_SDK_AK is set, HUAWEICLOUD_SDK_SK is missing"}},
	} {
		cfg, set, err := config.Workspace(environment(c.env))
		if (err != nil) != (c.fails != nil) || set != c.set || cfg.AccessKey.Reveal() != c.ak || cfg.SecretKey.Reveal() != c.sk {
			t.Errorf("%s: set %v, %v", name, set, err)
		}
		for _, want := range c.fails {
			if !errors.Is(err, workspace.ErrConfig) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v does not say %q", name, err, want)
			}
		}
	}
	if _, set, err := config.Workspace(environment(map[string]string{"HUAWEICLOUD_SDK_SK_FILE": "/absent"})); !set || !errors.Is(err, workspace.ErrConfig) {
		t.Errorf("a file that is not there: set %v, %v", set, err)
	}
}

func TestExposedSecrets(t *testing.T) {
	private, open := secretFile(t, "a"), secretFile(t, "b")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	env := environment(map[string]string{"SCNET_ACCESS_KEY_FILE": private, "SCNET_SECRET_KEY_FILE": open, "SCNET_TOKEN_FILE": "/absent"})
	if got := config.ExposedSecrets(env); runtime.GOOS != "windows" && !slices.Equal(got, []string{open}) {
		t.Errorf("%v", got)
	}
}
