// Package config reads the settings of the cloud services from the environment. Flags of the server itself are the command
// line's (internal/cli).
package config

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
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
var credentialFamilies = []family{
	{"SCNET_USER", "SCNET_ACCESS_KEY", "SCNET_SECRET_KEY", "SCNET_TOKEN"},
	{"SCNET_OPENAPI_USER", "SCNET_OPENAPI_ACCESS_KEY", "SCNET_OPENAPI_SECRET_KEY", "SCNET_OPENAPI_TOKEN"},
}

// family is one set of names.
type family struct{ user, accessKey, secretKey, token string }

func (f family) complete(r *reader) bool {
	return len(r.given(f.user, f.accessKey, f.secretKey)) == 3 || len(r.given(f.token)) == 1
}

// Problem is something that is wrong with the settings, told by the names of the variables, and what to do about it.
type Problem struct {
	err error
	fix lang.Text
}

// Error says what is wrong.
func (p *Problem) Error() string { return p.err.Error() }

// In says it in a language.
func (p *Problem) In(l lang.Lang) string { return l.Say(p.err) }

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.err }

// Hint says what to do.
func (p *Problem) Hint() lang.Text { return p.fix }

// SCNet reads the SCNET_ variables. A secret may stand in a file that NAME_FILE names. The error joins everything that is
// wrong, each a *Problem that names variables, never values.
func SCNet(env Environment) (scnet.Config, error) {
	r := reader{env: env}
	cfg := scnet.Config{
		AIURL:       r.text("SCNET_AI_URL"),
		Region:      r.text("SCNET_CLUSTER_ID", "SCNET_OPENAPI_REGION_ID", "SCNET_OPENAPI_REGION_NAME"),
		LoginURL:    r.text("SCNET_LOGIN_URL"),
		PlatformURL: r.text("SCNET_AC_URL"),
	}
	r.credentials(&cfg)
	if len(r.problems) > 0 {
		return scnet.Config{}, lang.Errorf("%w: %w", scnet.ErrConfig, errors.Join(r.problems...))
	}
	return cfg, nil
}

// credentials reads the first family that has anything, as a whole, and tells by the names of the variables what is missing.
func (r *reader) credentials(cfg *scnet.Config) {
	var used *family
	for i := range credentialFamilies {
		f := &credentialFamilies[i]
		set := r.given(f.user, f.accessKey, f.secretKey, f.token)
		switch {
		case len(set) == 0:
		case used == nil:
			used = f
			cfg.User, cfg.AccessKey, cfg.SecretKey, cfg.Token = r.text(f.user), r.secret(f.accessKey), r.secret(f.secretKey),
				r.secret(f.token)
		case !used.complete(r):
			first := r.given(used.user, used.accessKey, used.secretKey, used.token)
			r.problem(lang.T("Complete the first set, or unset %s.", list(first)), "%s and %s belong to two sets of names, which are never mixed",
				list(first), list(set))
			return
		}
	}
	if len(r.problems) > 0 { // a secret that cannot be read is not a missing one
		return
	}
	switch {
	case used == nil && cfg.AIURL == "":
		r.problem(lang.T("Set SCNET_USER, SCNET_ACCESS_KEY and SCNET_SECRET_KEY, all three, or SCNET_TOKEN and SCNET_AI_URL."), "%w is set", scnet.ErrNoCredential)
	case used == nil:
		r.problem(lang.T("Set SCNET_TOKEN to a token of that region, or unset SCNET_AI_URL and set user, access key and secret key."),
			"SCNET_AI_URL is set, but its token is missing")
	default:
		r.half(used, cfg)
	}
}

// half tells what is missing of a credential, or that there are two kinds.
func (r *reader) half(f *family, cfg *scnet.Config) {
	keys := []string{f.user, f.accessKey, f.secretKey}
	set := r.given(keys...)
	missing := slices.DeleteFunc(slices.Clone(keys), func(name string) bool { return slices.Contains(set, name) })
	token := cfg.Token.IsSet()
	switch {
	case len(set) > 0 && (token || cfg.AIURL != ""):
		r.problem(lang.T("Unset %s and SCNET_AI_URL to use the keys, or unset %s to use the token.", f.token, list(set)),
			"two kinds of credential are both set: %s, and a region token or its address", list(set))
	case len(set) > 0 && len(missing) > 0:
		r.problem(lang.T("Set %s too.", list(missing)), "half a credential: %s set, %s missing", list(set), list(missing))
	case token && cfg.AIURL == "":
		r.problem(lang.T("Set SCNET_AI_URL to the address of the token's region, or use user, access key and secret key instead, which find it out."),
			"half a credential: %s is set, the region's address is missing", f.token)
	}
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
// The error joins what is wrong, as that of SCNet does.
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
	if set = cfg.AccessKey.IsSet() || cfg.SecretKey.IsSet(); set {
		r.workspace(cfg)
	}
	if len(r.problems) > 0 {
		return workspace.Config{}, true, lang.Errorf("%w: %w", workspace.ErrConfig, errors.Join(r.problems...))
	}
	return cfg, set, nil
}

func (r *reader) workspace(cfg workspace.Config) {
	if len(r.problems) > 0 { // a secret that cannot be read is not a missing one
		return
	}
	const also = "Set %s too. Without Workspace, unset the key that is there."
	switch {
	case !cfg.SecretKey.IsSet():
		r.problem(lang.T(also, huaweiSecretKey), "%s is set, %s is missing", huaweiAccessKey, huaweiSecretKey)
	case !cfg.AccessKey.IsSet():
		r.problem(lang.T(also, huaweiAccessKey), "%s is set, %s is missing", huaweiSecretKey, huaweiAccessKey)
	}
	if cfg.Region == "" && cfg.Endpoint == "" {
		r.problem(lang.T("Set %s, such as cn-north-4, or for a private cloud %s.", huaweiRegion, huaweiEndpoint), "the region is missing")
	}
}

// Secret reads one secret from the variable, or from the file that the variable with _FILE at its end names. It is not set
// when neither is.
func Secret(env Environment, name string) (secret.Value, error) {
	r := reader{env: env}
	value := r.secret(name)
	for i, err := range r.problems { // which nobody else tells with its fix
		var problem *Problem
		if errors.As(err, &problem) {
			r.problems[i] = lang.Errorf("%w. %s", err, problem.fix)
		}
	}
	return value, errors.Join(r.problems...)
}

// Names returns every variable that this package reads, for a subprocess that must not inherit them.
func Names() []string {
	names := []string{
		"SCNET_AI_URL", "SCNET_CLUSTER_ID", "SCNET_OPENAPI_REGION_ID", "SCNET_OPENAPI_REGION_NAME", "SCNET_LOGIN_URL",
		"SCNET_AC_URL",
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

// ExposedSecrets returns the files of secrets that others than their owner's group can read.
func ExposedSecrets(env Environment) (files []string) {
	const othersMayRead = 0o004
	r := reader{env: env}
	for _, name := range Names() {
		path := ""
		if strings.HasSuffix(name, "_FILE") {
			path = r.text(name)
		}
		if path == "" {
			continue
		}
		if info, err := os.Stat(path); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&othersMayRead != 0 {
			files = append(files, path)
		}
	}
	return files
}

type reader struct {
	env      Environment
	problems []error
}

func (r *reader) problem(fix lang.Text, format string, args ...any) {
	r.problems = append(r.problems, &Problem{lang.Errorf(format, args...), fix})
}

// given returns those of names that are set, as themselves or as NAME_FILE.
func (r *reader) given(names ...string) (set []string) {
	for _, name := range names {
		if r.text(name, name+"_FILE") != "" {
			set = append(set, name)
		}
	}
	return set
}

func list(names []string) lang.Text {
	if len(names) < 2 {
		return lang.Names(names)
	}
	return lang.And(lang.Names(names[:len(names)-1]), lang.Verbatim(names[len(names)-1]))
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
		r.problem(lang.T("Unset one of them."), "%s and %s_FILE are both set", name, name)
		return secret.Value{}
	}
	if fileName == "" {
		return secret.New(value)
	}
	content, err := readSecretFile(fileName)
	if err != nil {
		fix := lang.T("Put the secret into this file, or correct %s_FILE.", name)
		if errors.Is(err, fs.ErrPermission) {
			fix = lang.T("Let the user that runs the server read this file, and nobody else.")
		}
		r.problem(fix, "%s_FILE: %w", name, err)
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
		return "", lang.Errorf("%s is not a file of at most %d bytes", name, maxSecretFile)
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(string(content))
	if text == "" {
		return "", lang.Errorf("%s is empty", name)
	}
	return text, nil
}
