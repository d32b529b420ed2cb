// Package config reads the settings of the cloud services from the environment. Flags of the server itself are the command line's
// (internal/cli).
package config

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/secret"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

// maxSecretFile is the largest secret file in bytes; a token has about 500.
const maxSecretFile = 64 << 10

// Environment looks a variable up, as os.LookupEnv does.
type Environment func(name string) (value string, set bool)

// credentialFamilies are the names under which SCNet credentials are found. One family is used as a whole, so that the
// keys of two accounts are never mixed.
var credentialFamilies = []struct{ user, accessKey, secretKey, token string }{
	{"SCNET_USER", "SCNET_ACCESS_KEY", "SCNET_SECRET_KEY", "SCNET_TOKEN"},
	{"SCNET_OPENAPI_USER", "SCNET_OPENAPI_ACCESS_KEY", "SCNET_OPENAPI_SECRET_KEY", "SCNET_OPENAPI_TOKEN"},
}

// SCNet reads the SCNET_ variables. A secret may stand in a file that NAME_FILE names. The error joins everything that is
// wrong and names variables, never values; scnet.New checks what the settings mean together.
func SCNet(env Environment) (scnet.Config, error) {
	r := reader{env: env}
	cfg := scnet.Config{
		AIURL:       r.text("SCNET_AI_URL"),
		Region:      r.text("SCNET_CLUSTER_ID", "SCNET_OPENAPI_REGION_ID", "SCNET_OPENAPI_REGION_NAME"),
		LoginURL:    r.text("SCNET_LOGIN_URL"),
		PlatformURL: r.text("SCNET_AC_URL"),
	}
	for _, family := range credentialFamilies {
		user := r.text(family.user)
		accessKey, secretKey, token := r.secret(family.accessKey), r.secret(family.secretKey), r.secret(family.token)
		if user == "" && !accessKey.IsSet() && !secretKey.IsSet() && !token.IsSet() {
			continue
		}
		cfg.User, cfg.AccessKey, cfg.SecretKey, cfg.Token = user, accessKey, secretKey, token
		break
	}
	if len(r.problems) > 0 {
		return scnet.Config{}, fmt.Errorf("%w: %w", scnet.ErrConfig, errors.Join(r.problems...))
	}
	return cfg, nil
}

// The Huawei Cloud variables are those of its SDK, and two addresses.
const (
	huaweiAccessKey     = "HUAWEICLOUD_SDK_AK"
	huaweiSecretKey     = "HUAWEICLOUD_SDK_SK"
	huaweiSecurityToken = "HUAWEICLOUD_SDK_SECURITY_TOKEN"
	huaweiProjectID     = "HUAWEICLOUD_SDK_PROJECT_ID"
	huaweiRegion        = "HUAWEICLOUD_SDK_REGION"
	huaweiEndpoint      = "HUAWEICLOUD_WORKSPACE_ENDPOINT"
	huaweiIAMEndpoint   = "HUAWEICLOUD_IAM_ENDPOINT"
)

// Workspace reads the HUAWEICLOUD_ variables. set reports whether there is a key at all: without one Workspace is not wanted.
// workspace.New checks what the settings mean together.
func Workspace(env Environment) (cfg workspace.Config, set bool, err error) {
	r := reader{env: env}
	cfg = workspace.Config{
		AccessKey:     r.secret(huaweiAccessKey),
		SecretKey:     r.secret(huaweiSecretKey),
		SecurityToken: r.secret(huaweiSecurityToken),
		ProjectID:     r.text(huaweiProjectID),
		Region:        r.text(huaweiRegion),
		Endpoint:      r.text(huaweiEndpoint),
		IAMEndpoint:   r.text(huaweiIAMEndpoint),
	}
	if len(r.problems) > 0 {
		return workspace.Config{}, true, fmt.Errorf("%w: %w", workspace.ErrConfig, errors.Join(r.problems...))
	}
	return cfg, cfg.AccessKey.IsSet() || cfg.SecretKey.IsSet(), nil
}

// Secret reads one secret from the variable, or from the file that the variable with _FILE at its end names. It is not set
// when neither is.
func Secret(env Environment, name string) (secret.Value, error) {
	r := reader{env: env}
	value := r.secret(name)
	return value, errors.Join(r.problems...)
}

// Names returns every variable that this package reads, for a subprocess that must not inherit them.
func Names() []string {
	names := []string{
		"SCNET_AI_URL", "SCNET_CLUSTER_ID", "SCNET_OPENAPI_REGION_ID", "SCNET_OPENAPI_REGION_NAME", "SCNET_LOGIN_URL", "SCNET_AC_URL",
		huaweiProjectID, huaweiRegion, huaweiEndpoint, huaweiIAMEndpoint,
	}
	secrets := []string{huaweiAccessKey, huaweiSecretKey, huaweiSecurityToken}
	for _, family := range credentialFamilies {
		names = append(names, family.user)
		secrets = append(secrets, family.accessKey, family.secretKey, family.token)
	}
	for _, s := range secrets {
		names = append(names, s, s+"_FILE")
	}
	return names
}

type reader struct {
	env      Environment
	problems []error
}

// text returns the first of names that is set to something.
func (r *reader) text(names ...string) string {
	for _, name := range names {
		if value, _ := r.env(name); strings.TrimSpace(value) != "" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func (r *reader) secret(name string) secret.Value {
	value, fileName := r.text(name), r.text(name+"_FILE")
	if value != "" && fileName != "" {
		r.problems = append(r.problems, fmt.Errorf("%s and %s_FILE are both set; set one", name, name))
		return secret.Value{}
	}
	if fileName == "" {
		return secret.New(value)
	}
	content, err := readSecretFile(fileName)
	if err != nil {
		r.problems = append(r.problems, fmt.Errorf("%s_FILE: %w", name, err))
		return secret.Value{}
	}
	return secret.New(content)
}

func readSecretFile(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSecretFile {
		return "", fmt.Errorf("%s is not a file of at most %d bytes", name, maxSecretFile)
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(string(content))
	if text == "" {
		return "", fmt.Errorf("%s is empty", name)
	}
	return text, nil
}
