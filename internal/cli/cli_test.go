package cli

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/scnet-mcp/scnet-mcp/internal/config"
	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/internal/golden"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
	"github.com/scnet-mcp/scnet-mcp/tools"
	desktopsimulator "github.com/scnet-mcp/scnet-mcp/workspace/simulator"
)

// run runs one command line without any setting of the machine's and returns exit code, stdout and stderr.
func run(t *testing.T, env map[string]string, stdin string, args ...string) (code int, out, errs string) {
	t.Helper()
	for _, name := range config.Names() {
		t.Setenv(name, "")
	}
	t.Setenv("XDG_STATE_HOME", t.TempDir()) // for the audit log
	for name, value := range env {
		t.Setenv(name, value)
	}
	var stdout bytes.Buffer
	var stderr lockedBuffer
	code = Run(args, Streams{In: strings.NewReader(stdin), Out: &stdout, Err: &stderr})
	return code, stdout.String(), stderr.String()
}

// lockedBuffer takes the lines of the logger beside those of a command, as a file does.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func contains(t *testing.T, what, text string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			t.Errorf("%s: %q is missing in:\n%s", what, want, text)
		}
	}
}

func TestVersion(t *testing.T) {
	code, out, _ := run(t, nil, "", "version")
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	contains(t, "version", out, "scnet-mcp ", "commit ", "go1.")
	if code, flag, _ := run(t, nil, "", "--version"); code != 0 || flag != out {
		t.Errorf("--version: exit %d, %q, want %q", code, flag, out)
	}
}

func TestHelpAndUsage(t *testing.T) {
	code, out, _ := run(t, nil, "", "--help")
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	contains(t, "help", out, "serve", "demo", "call", "tools", "doctor", "simulator", "version", "SCNET_TOKEN", "SCNET_MCP_LOG_LEVEL")
	if code, same, _ := run(t, nil, "", "help"); code != 0 || same != out {
		t.Errorf("help: exit %d: %s", code, same)
	}
	_, out, _ = run(t, nil, "", "audit", "verify", "--help")
	if code, same, _ := run(t, nil, "", "help", "audit", "verify"); code != 0 || same != out {
		t.Errorf("help audit verify: exit %d: %s", code, same)
	}
	for _, args := range [][]string{{"nonsense"}, {"help", "nonsense"}, {"--no-such-flag"}, {"call"}, {"--log-level=loud", "version"}, {"tools", "--json", "--markdown"}} {
		if code, _, errs := run(t, nil, "", args...); code != exitUsage || errs == "" {
			t.Errorf("%v: exit %d, stderr %q", args, code, errs)
		}
	}
}

func TestCall(t *testing.T) {
	for name, c := range map[string]struct {
		stdin  string
		args   []string
		code   int
		stdout string
		stderr string
	}{
		"text":              {args: []string{"list_instances", "limit=2"}, stdout: "instances 1-2 of 8"},
		"pairs are coerced": {args: []string{"list_instances", "limit=1", "detail=true"}, stdout: "memory"},
		"a JSON object":     {args: []string{"list_instances", `{"limit":1}`}, stdout: "instances 1-1 of 8"},
		"stdin":             {args: []string{"list_instances", "-"}, stdin: `{"limit":1}`, stdout: "instances 1-1 of 8"},
		"json":              {args: []string{"list_instances", "--json", "limit=1"}, stdout: `"returned":1`},
		"wrong argument":    {args: []string{"list_instances", "limit=many"}, code: exitUsage, stderr: "limit: expected a whole number"},
		"not a pair":        {args: []string{"list_instances", "limit"}, code: exitUsage, stderr: "neither name=value nor a JSON object"},
		"unknown tool":      {args: []string{"launch"}, code: exitUsage, stderr: "the tools are: " + strings.Join(toolNames(func(toolbox.Tool) bool { return true }), ", ")},
		"tool error":        {args: []string{"list_instances", "region=nowhere"}, code: exitError, stderr: "Usable regions"},
		"repeated name":     {args: []string{"list_instances", "name=a", "name=b"}, code: exitUsage, stderr: "name: expected text"},
		"JSON, then pairs":  {args: []string{"list_instances", `{"limit":1}`, "status=Running"}, stdout: "instances 1-1 of 2"},
		"pairs, then JSON":  {args: []string{"list_instances", "status=Running", ` {"limit":1} `}, stdout: "instances 1-1 of 2"},
		"given in both":     {args: []string{"list_instances", `{"limit":1}`, "limit=2"}, code: exitUsage, stderr: "limit"},
		"two objects":       {args: []string{"list_instances", `{"limit":1}`, `{}`}, code: exitUsage, stderr: "two JSON objects"},
		"a broken object":   {args: []string{"list_instances", `{"limit":1`, "status=Running"}, code: exitUsage, stderr: "cannot be read"},
		"error as JSON":     {args: []string{"list_instances", "--json", "region=nowhere"}, code: exitError, stdout: `{"error":{"message":`, stderr: "Usable regions"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := run(t, nil, c.stdin, append([]string{"call", "--demo"}, c.args...)...)
			if code != c.code {
				t.Errorf("exit %d, want %d", code, c.code)
			}
			contains(t, "stdout", out, c.stdout)
			contains(t, "stderr", errs, c.stderr)
			if code != 0 && out != "" && !slices.Contains(c.args, "--json") {
				t.Errorf("an error printed to stdout: %q", out)
			}
		})
	}
}

// Every tool has help that names its arguments, from the schema and nothing else.
func TestHelpOfTools(t *testing.T) {
	for _, tool := range tools.Catalogue() {
		code, out, errs := run(t, nil, "", "call", tool.Name, "--help")
		if code != 0 || errs != "" {
			t.Errorf("%s: exit %d, %s", tool.Name, code, errs)
		}
		contains(t, tool.Name, out, tool.Name+" (", "Fields of the result (--json):", "\nExample:\n  scnet-mcp call "+tool.Name)
		if strings.Contains(out, "confirm=true") || strings.Contains(out, "preview_token=") {
			t.Errorf("%s: a person is told what a model has to repeat: %s", tool.Name, out)
		}
		for _, name := range tool.Input.Properties() {
			forModels := tool.Risk != guard.Read && (name == "confirm" || name == "preview_token")
			if strings.Contains(out, "\n  "+name+"=") == forModels {
				t.Errorf("%s: the argument %s is told: %v", tool.Name, name, forModels)
			}
		}
		if code, shown, _ := run(t, nil, "", "tools", "--demo", tool.Name); code != 0 || shown != out {
			t.Errorf("%s: tools and call differ: %s", tool.Name, shown)
		}
		code, shown, _ := run(t, nil, "", "tools", "--demo", "--json", tool.Name)
		if code != 0 || !strings.HasPrefix(shown, "{") || !strings.Contains(shown, `"name":"`+tool.Name+`"`) || strings.Count(shown, `"inputSchema"`) != 1 {
			t.Errorf("%s: exit %d, %s", tool.Name, code, shown)
		}
	}
	if code, out, _ := run(t, nil, "", "help", "list_instances"); code != 0 || !strings.HasPrefix(out, "list_instances (") {
		t.Errorf("help of a tool: exit %d: %s", code, out)
	}
	for _, args := range [][]string{{"call", "launch", "--help"}, {"tools", "--demo", "launch"}} {
		if code, _, errs := run(t, nil, "", args...); code != exitUsage || !strings.Contains(errs, "the tools are") {
			t.Errorf("%v: exit %d, %s", args, code, errs)
		}
	}
	if code, out, _ := run(t, nil, "", "call", "--help"); code != 0 || !strings.Contains(out, "--confirm") {
		t.Errorf("exit %d: %s", code, out)
	}
}

// The example of every tool is a call that is right, and uses its arguments.
func TestExamplesOfTools(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "check.sh", "df -h\n")
	waits := regexp.MustCompile(`wait_seconds=\d+`)
	for _, tool := range tools.Catalogue() {
		code, out, errs := run(t, nil, "", append([]string{"call", "--demo", tool.Name}, strings.Fields(waits.ReplaceAllString(tool.Example, "wait_seconds=1"))...)...)
		needsRun := strings.Contains(tool.Example, "run_id=RUN") // of a run that only its user knows
		if code == toolbox.ExitWrong && !needsRun || code == exitError && !needsRun {
			t.Errorf("%s %s: exit %d: %s%s", tool.Name, tool.Example, code, out, errs)
		}
		if arguments, err := argumentsOf(tool); err != nil || len(arguments) > 0 && tool.Example == "" {
			t.Errorf("%s has no example: %v", tool.Name, err)
		}
	}
}

// The instructions speak of what there is: the sections of the toolsets that the catalogue has.
func TestInstructionsOfTheWholeCatalogue(t *testing.T) {
	s := serveHere(t, nil, "--demo", "--transport=http")
	text := s.rpc("", "initialize", `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}`).Instructions
	contains(t, "instructions", text, "container instances on SCNet", "Huawei Cloud Workspace", "Demo mode")
}

func TestGoldenToolList(t *testing.T) {
	code, out, errs := run(t, nil, "", "tools", "--demo", "--json")
	if code != 0 {
		t.Fatal(errs)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, []byte(out), "", "  "); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, filepath.Join("..", "..", "testdata", "tools-list.json"), indented.String())
}

// What a model is shown of a tool is paid for by every user in every session. Output schemas serve programs and are not
// counted. Tokens are estimated from characters; the interop run counts them with a tokenizer, and checks the estimate.
func TestWhatTheListCosts(t *testing.T) {
	var budget struct {
		Average           float64
		WithoutHuaweiKeys float64 `json:"without_huawei_keys"`
		ASCIICharacters   float64 `json:"ascii_characters"`
		OtherCharacters   float64 `json:"other_characters"`
	}
	content, err := os.ReadFile(filepath.Join("..", "..", "testdata", "token-budget.json"))
	if err == nil {
		err = json.Unmarshal(content, &budget)
	}
	if err != nil {
		t.Fatal(err)
	}
	tokens := func(offered []toolbox.Tool) (sum float64) {
		for _, tool := range offered {
			for _, r := range tool.Name + tool.Description + string(tool.Input.JSON()) {
				if r < utf8.RuneSelf {
					sum += 1 / budget.ASCIICharacters
				} else {
					sum += 1 / budget.OtherCharacters
				}
			}
		}
		return sum
	}
	all := tools.Catalogue()
	if got := tokens(all) / float64(len(all)); got > budget.Average {
		t.Errorf("about %.0f tokens for a tool on average; at most %.0f are allowed", got, budget.Average)
	}
	if got := tokens(tools.Offered(tools.Instances{}, tools.Desktops{})); got > budget.WithoutHuaweiKeys {
		t.Errorf("about %.0f tokens for the tools that need no Huawei Cloud keys; at most %.0f are allowed", got, budget.WithoutHuaweiKeys)
	}
}

func TestToolsListIsTheSameEachTime(t *testing.T) {
	_, first, _ := run(t, nil, "", "tools", "--demo", "--json")
	_, second, _ := run(t, nil, "", "tools", "--demo", "--json")
	if first != second || first == "" {
		t.Error("two runs give two lists")
	}
}

func TestDemo(t *testing.T) {
	t.Run("en", func(t *testing.T) {
		checkDemo(t, []string{
			"MCP client", "qwen-finetune-01", "PREVIEW. confirm: true alone is not enough", "done: 1 deleted", "done: 2 succeeded", "NVIDIA-SMI",
			"script failed, exit code 3", "not_attempted", "Stopped: more than 0 failures", "the chain is intact", "demo --full",
		}, []string{
			"connected to scnet-mcp", "did you mean", "1 deleted", "1 succeeded, 1 failed, 2 not run", "disk-usage done", "the chain is intact", "Demo done",
		})
	})
	t.Run("zh", func(t *testing.T) {
		checkDemo(t, []string{
			"MCP 客户端", "qwen-finetune-01", "已占用", "名称", "预览。", "done：已删除 1 个", "done：2 个成功", "NVIDIA-SMI",
			"脚本 failed，退出码 3", "not_attempted", "已中止", "哈希链完整", "demo --full",
		}, []string{"已通过 stdio 连接 scnet-mcp", "是否想写", "已删除 1 个", "1 个成功，1 个失败，2 个未执行", "哈希链完整", "演示结束"})
	})
}

// checkDemo plays the demo in the language that the test is named for.
func checkDemo(t *testing.T, shown, shownInFull []string) {
	t.Helper()
	t.Setenv("SCNET_MCP_LANG", filepath.Base(t.Name()))
	short := execute(t, program(t), "demo")
	contains(t, "demo", short, shown...)
	if lines := strings.Count(short, "\n"); lines > 32 {
		t.Errorf("%d lines: %s", lines, short)
	}
	for line := range strings.Lines(short) {
		if text.Width(line) > 128 {
			t.Errorf("too wide: %s", line)
		}
	}
	out := execute(t, program(t), "demo", "--full")
	contains(t, "demo", out, shownInFull...)
}

// account returns the settings that reach s.
func account(s *simulator.Simulator) map[string]string {
	a := simulator.DemoAccount()
	return map[string]string{
		"SCNET_USER": a.User, "SCNET_ACCESS_KEY": a.AccessKey, "SCNET_SECRET_KEY": a.SecretKey,
		"SCNET_LOGIN_URL": s.URL(), "SCNET_AC_URL": s.URL(),
	}
}

func simulate(t *testing.T, o simulator.Options) *simulator.Simulator {
	t.Helper()
	s := simulator.New(o)
	fakecloudtest.Start(t, s)
	return s
}

// desktops returns the settings that reach a simulated Workspace.
func desktops(s *desktopsimulator.Simulator) []string {
	key := desktopsimulator.DemoAccount().Keys[0]
	return []string{
		"HUAWEICLOUD_SDK_AK", key.AccessKey, "HUAWEICLOUD_SDK_SK", key.SecretKey, "HUAWEICLOUD_SDK_SECURITY_TOKEN", key.SecurityToken,
		"HUAWEICLOUD_SDK_REGION", "cn-north-4", "HUAWEICLOUD_SDK_PROJECT_ID", s.ProjectID(), "HUAWEICLOUD_WORKSPACE_ENDPOINT", s.URL(),
	}
}

func TestDoctor(t *testing.T) {
	good := simulate(t, simulator.Options{OtherAccounts: []simulator.Account{{User: "eve", AccessKey: "evekey", SecretKey: "evesecret"}}})
	slow := simulate(t, simulator.Options{Now: func() time.Time { return time.Now().Add(-time.Hour) }})
	none := simulate(t, simulator.Options{Regions: []simulator.Region{{ID: "20091", Name: "华中一区【A区】", NoContainer: true}}})
	suspended := simulate(t, simulator.Options{Regions: []simulator.Region{{ID: "11250", Name: "昆山", Suspended: true}}})
	hw := desktopsimulator.New(desktopsimulator.Options{})
	fakecloudtest.Start(t, hw)
	html := httptest.NewServer(http.NotFoundHandler())
	defer html.Close()

	with := func(base map[string]string, changes ...string) map[string]string {
		env := map[string]string{}
		for name, value := range base {
			env[name] = value
		}
		for i := 0; i < len(changes); i += 2 {
			env[changes[i]] = changes[i+1]
		}
		return env
	}
	ok := with(account(good), "SCNET_CLUSTER_ID", "11250")
	token := func(at time.Time) map[string]string {
		return map[string]string{
			"SCNET_TOKEN": good.TokenExpiring("11250", at), "SCNET_AI_URL": good.RegionURL("11250"), "SCNET_AC_URL": good.URL(),
		}
	}
	for name, c := range map[string]struct {
		env  map[string]string
		code int
		want []string
	}{
		"all well":              {ok, 0, []string{"ok    login", "ok    region 11250", "ok    clock", " offered"}},
		"a region token":        {token(time.Now().Add(time.Hour)), 0, []string{"a region token, which expires at 20", "ok    region 11250"}},
		"nothing set":           {nil, 1, []string{"FAIL  configuration", "no credential", "→ Set SCNET_USER"}},
		"half a credential":     {with(ok, "SCNET_SECRET_KEY", ""), 1, []string{"FAIL  configuration", "half a credential", "SCNET_SECRET_KEY missing", "→ Set SCNET_SECRET_KEY too"}},
		"token without URL":     {map[string]string{"SCNET_TOKEN": "t"}, 1, []string{"the region's address is missing"}},
		"two kinds":             {with(ok, "SCNET_TOKEN", "t", "SCNET_AI_URL", good.URL()), 1, []string{"both set"}},
		"bad secret":            {with(ok, "SCNET_SECRET_KEY", "wrong"), 1, []string{"FAIL  login", "10009", "签名", "→ The secret key does not fit"}},
		"renamed login":         {with(ok, "SCNET_USER", "bob"), 1, []string{"FAIL  login", "用户不存在", "→ SCNET_USER must be the platform login name"}},
		"another's key":         {with(ok, "SCNET_ACCESS_KEY", "evekey"), 1, []string{"非本人", "→ SCNET_USER and SCNET_ACCESS_KEY are of different accounts"}},
		"unknown key":           {with(ok, "SCNET_ACCESS_KEY", "none"), 1, []string{"不存在", "→ The access key does not exist"}},
		"suspended":             {account(suspended), 1, []string{"FAIL", "suspended in 昆山 (11250)", "→ Top up"}},
		"expired for days":      {token(time.Now().Add(-80 * time.Hour)), 1, []string{"expired at 20", "the token has expired 3 days ago", "→ Get a new token"}},
		"wrong clock":           {with(account(slow), "SCNET_CLUSTER_ID", "11250"), 1, []string{"FAIL  clock", "this machine is 1h0m", "ahead of SCNet's time", "→ Set the clock"}},
		"no container service":  {account(none), 1, []string{"FAIL  region 20091", "no container service", "→ Use another region"}},
		"no region chosen":      {account(good), 0, []string{"note  region ", "none is the default", "ok    region 11250", "ok    region 20057", "→ Set SCNET_CLUSTER_ID"}},
		"unreachable":           {with(ok, "SCNET_LOGIN_URL", "http://127.0.0.1:1"), 1, []string{"FAIL  connection", "was not sent", "→ Nothing listens at that address: correct SCNET_LOGIN_URL"}},
		"no such host":          {with(ok, "SCNET_LOGIN_URL", "https://api.scnet.invalid"), 1, []string{"FAIL  connection", "→ The host name does not exist: correct SCNET_LOGIN_URL"}},
		"no secret file":        {with(ok, "SCNET_SECRET_KEY", "", "SCNET_SECRET_KEY_FILE", "/absent"), 1, []string{"FAIL  configuration", "SCNET_SECRET_KEY_FILE: ", "→ Put the secret into this file"}},
		"two families":          {map[string]string{"SCNET_USER": "u", "SCNET_OPENAPI_TOKEN": "t"}, 1, []string{"two sets of names", "→ Complete the first set"}},
		"not SCNet":             {with(ok, "SCNET_LOGIN_URL", html.URL), 1, []string{"FAIL  login", "not what SCNet documents"}},
		"workspace, half a key": {with(ok, "HUAWEICLOUD_SDK_AK", "hwaccesskey"), 1, []string{"FAIL  workspace", "HUAWEICLOUD_SDK_SK is missing → Set HUAWEICLOUD_SDK_SK too", "the region is missing → Set HUAWEICLOUD_SDK_REGION"}},
		"workspace, all well":   {with(ok, desktops(hw)...), 0, []string{"ok    workspace     cn-north-4, 6 desktops"}},
		"workspace alone":       {with(nil, desktops(hw)...), 0, []string{"ok    workspace", "note  configuration", "only the tools of the toolset workspace are offered", strconv.Itoa(len(tools.Desktops{}.Tools())) + " offered"}},
		"workspace, bad secret": {with(ok, append(desktops(hw), "HUAWEICLOUD_SDK_SK", "wrongsecret")...), 1, []string{"FAIL  workspace", "APIGW.0301", "→ Check HUAWEICLOUD_SDK_AK"}},
		"plain http":            {with(ok, "SCNET_LOGIN_URL", "http://api.scnet.cn"), 1, []string{"FAIL  configuration", "only https"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := run(t, c.env, "", "doctor")
			if code != c.code || errs != "" {
				t.Errorf("exit %d, stderr %q", code, errs)
			}
			contains(t, "doctor", out, c.want...)
			for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
				if verdict, _, _ := strings.Cut(line, " "); verdict != "ok" && verdict != "FAIL" && verdict != "note" {
					t.Errorf("more than one line for a check: %q", line)
				}
				if strings.HasPrefix(line, "FAIL") && !strings.Contains(line, " → ") {
					t.Errorf("no fix in %q", line)
				}
			}
			for setting, value := range c.env {
				if strings.HasSuffix(setting, "_FILE") {
					continue
				}
				if strings.Contains(setting, "SECRET") || strings.HasSuffix(setting, "_SK") || strings.HasSuffix(setting, "_AK") || strings.Contains(setting, "TOKEN") || strings.HasSuffix(setting, "ACCESS_KEY") {
					if len(value) > 5 && strings.Contains(out, value) {
						t.Errorf("%s is in the output", setting)
					}
				}
			}
		})
	}
}

// Compose files and unit files set variables to nothing when they mean that they are not set.
func TestEmptySettings(t *testing.T) {
	for _, name := range []string{"CALLERS", "KEY_FILE", "TLS_CERT", "TRANSPORT", "MAX_CONNECTIONS", "STATE"} {
		t.Setenv("SCNET_MCP_"+name, "")
	}
	var out, errs bytes.Buffer
	if code := Run([]string{"serve", "--demo"}, Streams{In: strings.NewReader(""), Out: &out, Err: &errs}); code != exitOK {
		t.Errorf("exit status %d: %s", code, &errs)
	}
}
