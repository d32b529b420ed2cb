package deploy

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// compose reads compose.yaml as docker compose does, the schema included.
func compose(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"compose.yaml"}, cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

var servers = []string{"scnet-mcp-1", "scnet-mcp-2"}

func TestCompose(t *testing.T) {
	project := compose(t)
	for name, s := range project.Services {
		if !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s is not locked up: %+v", name, s)
		}
		for _, secret := range s.Secrets {
			if _, known := project.Secrets[secret.Source]; !known {
				t.Errorf("%s: there is no secret %s", name, secret.Source)
			}
		}
	}
	logs := map[string]bool{}
	for _, name := range servers {
		s := project.Services[name]
		if s.User != "65532:65532" || len(s.Ports) > 0 || len(s.Volumes) != 1 {
			t.Errorf("%s: user %q, ports %v, volumes %v", name, s.User, s.Ports, s.Volumes)
		}
		logs[s.Volumes[0].Source] = true
		for setting := range s.Environment {
			knownSetting(t, setting)
		}
	}
	if len(logs) != len(servers) {
		t.Errorf("the servers share an audit log: %v", logs)
	}
}

// knownSetting checks that a variable is one that the server reads.
func knownSetting(t *testing.T, name string) {
	t.Helper()
	help := tell(t, nil, binary(t), "serve", "--help")
	reference, err := os.ReadFile("../docs/reference.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(help, "$"+name+")") && !bytes.Contains(reference, []byte("`"+name+"`")) {
		t.Errorf("the server does not read %s", name)
	}
}

// objects reads kubernetes.yaml. A field that the API does not know is an error.
func objects(t *testing.T) (all map[string]any) {
	t.Helper()
	content, err := os.ReadFile("kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all = map[string]any{}
	for document := range strings.SplitSeq(string(content), "\n---\n") {
		var head struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Metadata   struct {
				Name      string `json:"name"`
				Namespace string `json:"namespace"`
			} `json:"metadata"`
		}
		if err := yaml.Unmarshal([]byte(document), &head); err != nil {
			t.Fatal(err)
		}
		object, known := map[string]any{
			"v1 Namespace": &corev1.Namespace{}, "v1 ConfigMap": &corev1.ConfigMap{}, "v1 Service": &corev1.Service{},
			"apps/v1 StatefulSet": &appsv1.StatefulSet{}, "apps/v1 Deployment": &appsv1.Deployment{},
			"policy/v1 PodDisruptionBudget":      &policyv1.PodDisruptionBudget{},
			"networking.k8s.io/v1 NetworkPolicy": &networkingv1.NetworkPolicy{},
		}[head.APIVersion+" "+head.Kind]
		if !known {
			t.Fatalf("%s %s is not a kind that this test reads", head.APIVersion, head.Kind)
		}
		if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
			t.Errorf("%s %s: %v", head.Kind, head.Metadata.Name, err)
		}
		if head.Kind != "Namespace" && head.Metadata.Namespace != "scnet-mcp" {
			t.Errorf("%s %s is in the namespace %q", head.Kind, head.Metadata.Name, head.Metadata.Namespace)
		}
		all[head.Kind+" "+head.Metadata.Name] = object
	}
	return all
}

func TestKubernetes(t *testing.T) {
	all := objects(t)
	set := all["StatefulSet scnet-mcp"].(*appsv1.StatefulSet)
	settings := all["ConfigMap scnet-mcp"].(*corev1.ConfigMap).Data
	redis := all["Deployment redis"].(*appsv1.Deployment)
	if *set.Spec.Replicas != 2 {
		t.Errorf("%d servers", *set.Spec.Replicas)
	}
	for name, pod := range map[string]corev1.PodTemplateSpec{"scnet-mcp": set.Spec.Template, "redis": redis.Spec.Template} {
		restricted(t, name, pod.Spec)
		policy := all["NetworkPolicy "+name].(*networkingv1.NetworkPolicy).Spec.PodSelector.MatchLabels
		service := all["Service "+name].(*corev1.Service).Spec.Selector
		for label, value := range policy {
			if pod.Labels[label] != value || service[label] != value {
				t.Errorf("%s: policy %v, service %v, labels %v", name, policy, service, pod.Labels)
			}
		}
	}
	mounts := set.Spec.Template.Spec.Containers[0].VolumeMounts
	for setting, value := range settings {
		knownSetting(t, setting)
		if strings.HasPrefix(value, "/") && !slices.ContainsFunc(mounts, func(m corev1.VolumeMount) bool {
			return strings.HasPrefix(value, m.MountPath+"/")
		}) {
			t.Errorf("%s=%s is not in a volume", setting, value)
		}
	}
	if everything := all["NetworkPolicy nothing-else"].(*networkingv1.NetworkPolicy).Spec; len(everything.PolicyTypes) != 2 ||
		len(everything.Ingress)+len(everything.Egress) > 0 {
		t.Errorf("%+v", everything)
	}
	// What the two ways of running have in common is equal.
	project := compose(t)
	for setting, value := range settings {
		composed := project.Services[servers[0]].Environment[setting]
		if strings.HasPrefix(setting, "SCNET_MCP_") && !strings.HasPrefix(value, "/") && setting != "SCNET_MCP_ALLOWED_HOSTS" &&
			(composed == nil || *composed != value) {
			t.Errorf("%s: %q in kubernetes.yaml, not so in compose.yaml", setting, value)
		}
	}
	if args := redis.Spec.Template.Spec.Containers[0].Args; !slices.Equal(args, project.Services["redis"].Command) {
		t.Errorf("Redis: %q and %q", args, project.Services["redis"].Command)
	}
}

// restricted checks what the namespace's pod security standard will, and that the pod is watched.
func restricted(t *testing.T, name string, pod corev1.PodSpec) {
	t.Helper()
	user := pod.SecurityContext
	if user == nil || user.RunAsNonRoot == nil || !*user.RunAsNonRoot || user.SeccompProfile == nil ||
		pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Errorf("%s: %+v", name, pod)
	}
	for _, c := range pod.Containers {
		s := c.SecurityContext
		if s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem || s.AllowPrivilegeEscalation == nil ||
			*s.AllowPrivilegeEscalation || s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
			t.Errorf("%s: %+v", name, s)
		}
		if c.LivenessProbe == nil || c.ReadinessProbe == nil || c.Resources.Limits.Memory().IsZero() {
			t.Errorf("%s: no probe, or no limit", name)
		}
	}
}

func TestCaddy(t *testing.T) {
	tell(t, []string{"HOME=" + t.TempDir()}, "caddy", "validate", "--config", "Caddyfile", "--adapter", "caddyfile")
}

// TestUnitIsHardened has systemd rate the unit of the packages, which is checked there: 0 is best, 10 is worst.
func TestUnitIsHardened(t *testing.T) {
	tell(t, nil, "systemd-analyze", "security", "--offline=true", "--threshold=20", "../packaging/linux/scnet-mcp.service")
}

func TestPrometheus(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"prometheus.yml", "alerts.yml", "alerts_test.yml", "metrics-token"} {
		content, err := os.ReadFile(filepath.Join("prometheus", name))
		if err != nil && name != "metrics-token" {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, name), content)
	}
	tell(t, nil, "promtool", "check", "config", filepath.Join(folder, "prometheus.yml"))
	tell(t, nil, "promtool", "test", "rules", filepath.Join(folder, "alerts_test.yml"))
	alerts, err := os.ReadFile(filepath.Join("prometheus", "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	knownMetrics(t, string(alerts))
}

// TestDashboard has promtool read every query of the dashboard.
func TestDashboard(t *testing.T) {
	content, err := os.ReadFile("grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			ID      int    `json:"id"`
			Title   string `json:"title"`
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal(content, &dashboard); err != nil || len(dashboard.Panels) < 10 {
		t.Fatal(err, dashboard)
	}
	variables := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*")
	var rules []map[string]string
	for i, panel := range dashboard.Panels {
		if panel.ID != i+1 || panel.Title == "" || len(panel.Targets) == 0 {
			t.Errorf("%+v", panel)
		}
		for _, target := range panel.Targets {
			rules = append(rules, map[string]string{"record": "x", "expr": variables.Replace(target.Expr)})
			knownMetrics(t, target.Expr)
		}
	}
	text, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	write(t, file, text)
	tell(t, nil, "promtool", "check", "rules", "--lint=none", file)
}

var (
	metricName = regexp.MustCompile(`\b(?:scnet_mcp|process)_[a-z_]+`)
	matcher    = regexp.MustCompile(`\b(outcome|status|rule|kind|method)=~?"([^"]*)"`)
)

// knownMetrics checks that the server has the metrics and the values of labels that queries name.
func knownMetrics(t *testing.T, queries string) {
	t.Helper()
	var source strings.Builder
	for _, pattern := range []string{"../internal/metrics/*.go", "../internal/toolbox/observation.go", "../internal/server/*.go", "../internal/guard/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(content)
		}
	}
	for _, name := range metricName.FindAllString(queries, -1) {
		word := strings.TrimSuffix(strings.TrimPrefix(name, "scnet_mcp_"), "_bucket")
		if !strings.Contains(source.String(), `"`+word) {
			t.Errorf("there is no metric %s", name)
		}
	}
	for _, match := range matcher.FindAllStringSubmatch(queries, -1) {
		for value := range strings.SplitSeq(match[2], "|") {
			if !strings.Contains(source.String(), `"`+value+`"`) && value != "5xx" {
				t.Errorf("%s is never %q", match[1], value)
			}
		}
	}
}

func binary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("SCNET_MCP_BINARY")
	if path == "" {
		t.Fatal("set SCNET_MCP_BINARY to the path of the built server")
	}
	return path
}

// tell runs a command to its end and returns what it prints.
func tell(t *testing.T, settings []string, name string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	command.Env = append(os.Environ(), settings...)
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, output)
	}
	return string(output)
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
