package config_test

import (
	"errors"
	"os"
	"path/filepath"
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
			env:  map[string]string{"SCNET_USER": "bob", "SCNET_OPENAPI_USER": "eve", "SCNET_OPENAPI_ACCESS_KEY": "a2", "SCNET_OPENAPI_SECRET_KEY": "s2"},
			user: "bob",
		},
		"an empty variable is not set": {
			env: map[string]string{"SCNET_USER": "", "SCNET_OPENAPI_TOKEN": "t"}, tok: "t",
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
		env  map[string]string
		want string
	}{
		"both forms":  {map[string]string{"SCNET_TOKEN": "tok-value", "SCNET_TOKEN_FILE": "/x"}, "SCNET_TOKEN and SCNET_TOKEN_FILE are both set"},
		"no file":     {map[string]string{"SCNET_TOKEN_FILE": filepath.Join(t.TempDir(), "absent")}, "SCNET_TOKEN_FILE"},
		"empty file":  {map[string]string{"SCNET_SECRET_KEY_FILE": secretFile(t, " \n")}, "is empty"},
		"a directory": {map[string]string{"SCNET_SECRET_KEY_FILE": t.TempDir()}, "is not a file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.SCNet(environment(c.env))
			if !errors.Is(err, scnet.ErrConfig) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "tok-value") {
				t.Errorf("err = %v", err)
			}
		})
	}
}

func TestWorkspace(t *testing.T) {
	file := secretFile(t, "from-file\n")
	for name, c := range map[string]struct {
		env map[string]string
		set bool
		ak  string
		sk  string
	}{
		"nothing":       {nil, false, "", ""},
		"a region only": {map[string]string{"HUAWEICLOUD_SDK_REGION": "cn-north-4"}, false, "", ""},
		"keys":          {map[string]string{"HUAWEICLOUD_SDK_AK": "a", "HUAWEICLOUD_SDK_SK_FILE": file}, true, "a", "from-file"},
		"half":          {map[string]string{"HUAWEICLOUD_SDK_SK": "s"}, true, "", "s"},
	} {
		cfg, set, err := config.Workspace(environment(c.env))
		if err != nil || set != c.set || cfg.AccessKey.Reveal() != c.ak || cfg.SecretKey.Reveal() != c.sk {
			t.Errorf("%s: set %v, %v", name, set, err)
		}
	}
	if _, set, err := config.Workspace(environment(map[string]string{"HUAWEICLOUD_SDK_SK_FILE": "/absent"})); !set || !errors.Is(err, workspace.ErrConfig) {
		t.Errorf("a file that is not there: set %v, %v", set, err)
	}
}
