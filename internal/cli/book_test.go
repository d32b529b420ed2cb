package cli

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/callers"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/server"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// entry is one caller of a file. Empty fields are left out.
type entry struct {
	Name                string            `json:"name"`
	Digest              string            `json:"token_sha256"`
	ReadOnly            bool              `json:"read_only,omitempty"`
	Toolsets            []string          `json:"toolsets,omitempty"`
	DisableTools        []string          `json:"disable_tools,omitempty"`
	Allow               []string          `json:"allow,omitempty"`
	Protect             []string          `json:"protect,omitempty"`
	MaxTargets          int               `json:"max_targets,omitempty"`
	MaxMutationsPerHour int               `json:"max_mutations_per_hour,omitempty"`
	AllowAccessURLs     bool              `json:"allow_access_urls,omitempty"`
	Consent             map[string]string `json:"consent,omitempty"`
}

// callersFile writes a file of callers and returns their tokens by name. An entry that has no digest gets one.
func callersFile(t *testing.T, entries ...entry) (path string, tokens map[string]string) {
	t.Helper()
	path, tokens = filepath.Join(t.TempDir(), "callers.json"), map[string]string{}
	for i := range entries {
		if entries[i].Digest == "" {
			tokens[entries[i].Name], entries[i].Digest = callers.NewToken()
		}
	}
	writeCallers(t, path, entries...)
	return path, tokens
}

func writeCallers(t *testing.T, path string, entries ...entry) {
	t.Helper()
	text, err := json.Marshal(map[string][]entry{"callers": entries})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, string(text))
}

// over returns a client of what runs in a server of the test's own.
func over(t *testing.T, handler http.Handler) *served {
	s := newServed(t)
	web := httptest.NewServer(handler)
	t.Cleanup(web.Close)
	s.url = web.URL
	return s
}

// More instances of the demo region.
const (
	terminatedID = "d3e0702e9389426cbc9cb86cdc548a54" // bert-eval
	failedID     = "765aa93507c74b9eaee044cbaa51ed43" // 蛋白质结构预测
)

func restart(id string) string { return `{"instance_id":"` + id + `","confirm":true}` }

func deletion(ids ...string) string {
	list, _ := json.Marshal(ids) // strings always encode
	return `{"instance_ids":` + string(list) + `}`
}

const listTools = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`

// toolNames returns the names of the tools of the catalogue that are wanted.
func toolNames(wanted func(toolbox.Tool) bool) (names []string) {
	for _, t := range tools.Catalogue() {
		if wanted(t) {
			names = append(names, t.Name)
		}
	}
	return names
}

func onlyReads(t toolbox.Tool) bool { return t.Risk == guard.Read }

func TestCallersHaveTheirOwnTools(t *testing.T) {
	file, tokens := callersFile(t,
		entry{Name: "reader", ReadOnly: true},
		entry{Name: "instances", Toolsets: []string{"instances"}, DisableTools: []string{"execute_script"}},
		entry{Name: "whole"},
	)
	s := serveHere(t, nil, "--demo", "--transport=http", "--callers="+file, "--disable-tools=stop_workspace_run")
	for caller, want := range map[string][]string{
		"reader":    toolNames(onlyReads),
		"instances": toolNames(func(t toolbox.Tool) bool { return t.Toolset == "instances" && t.Name != "execute_script" }),
		"whole":     toolNames(func(t toolbox.Tool) bool { return t.Name != "stop_workspace_run" }),
	} {
		want = slices.Sorted(slices.Values(want))
		if got := slices.Sorted(slices.Values(s.tools(tokens[caller]))); !slices.Equal(got, want) {
			t.Errorf("%s is offered %v, want %v", caller, got, want)
		}
	}
	s.refused(tokens["reader"], "delete_instances", deletion(completedID), "read-only")
	s.refused(tokens["reader"], "restart_instance", restart(completedID), "read-only")
	s.refused(tokens["instances"], "list_workspace_desktops", `{}`, "toolset")
	s.refused(tokens["instances"], "execute_script", `{"instance_ids":["`+runningID+`"],"script":"id"}`, "has disabled")
	s.refused(tokens["whole"], "stop_workspace_run", `{"run_id":"1"}`, "has disabled")
	s.done(tokens["whole"], "list_workspace_desktops", `{}`)
	s.done(tokens["instances"], "delete_instances", deletion(completedID), "PREVIEW")

	hello := `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}`
	for caller, told := range map[string]bool{"reader": false, "whole": true} {
		text := s.rpc(tokens[caller], "initialize", hello).Instructions
		if text == "" || strings.Contains(text, "Before anything is changed") != told {
			t.Errorf("%s is told %q", caller, text)
		}
	}

	for _, token := range []string{"", "scnetmcp_wrong", tokens["reader"] + "x", strings.ToUpper(tokens["reader"])} {
		status, answer := s.request(http.MethodPost, "/mcp", token, listTools)
		if status != http.StatusUnauthorized || strings.Contains(answer, "list_instances") {
			t.Errorf("the token %q: %d %s", token, status, answer)
		}
	}
	log := s.errs.String()
	for name, token := range tokens {
		if strings.Contains(log, token) || strings.Contains(log, callers.Digest(token)) {
			t.Errorf("the token of %s is in the log", name)
		}
	}
}

func TestCallersHaveTheirOwnLimits(t *testing.T) {
	file, tokens := callersFile(t,
		entry{Name: "narrow", Allow: []string{"name:bert-*"}, Protect: []string{"id:" + completedID}},
		entry{Name: "single", MaxTargets: 1},
		entry{Name: "wide", MaxTargets: 1000},
		entry{Name: "asking", Consent: map[string]string{"restart_instance": "human"}},
	)
	s := serveHere(t, nil, "--demo", "--transport=http", "--callers="+file, "--max-targets=2", "--protect=id:"+runningID)
	s.done(tokens["narrow"], "delete_instances", deletion(terminatedID), "PREVIEW", "bert-eval")
	s.refused(tokens["narrow"], "delete_instances", deletion(failedID), "does not allow")
	s.refused(tokens["narrow"], "delete_instances", deletion(completedID), "has protected")
	s.refused(tokens["single"], "delete_instances", deletion(terminatedID, failedID), "the policy of caller single allows 1")
	s.done(tokens["single"], "delete_instances", deletion(completedID), "PREVIEW")
	s.done(tokens["wide"], "delete_instances", deletion(terminatedID, failedID), "PREVIEW")
	s.refused(tokens["wide"], "delete_instances", deletion(terminatedID, failedID, completedID), "the operator allows 2")
	s.refused(tokens["asking"], "restart_instance", restart(completedID), "cannot ask")
	for caller, token := range tokens { // the operator's limit holds for all
		if r := s.call(token, "delete_instances", deletion(runningID)); !r.IsError {
			t.Errorf("%s may delete what the operator has protected", caller)
		}
	}
	s.done(tokens["single"], "restart_instance", restart(completedID))
}

// A token of a preview is its caller's own.
func TestCallersDoNotShareTokens(t *testing.T) {
	file, tokens := callersFile(t, entry{Name: "one"}, entry{Name: "two"})
	s := serveHere(t, nil, "--demo", "--transport=http", "--callers="+file)
	_, rest, found := strings.Cut(s.call(tokens["one"], "delete_instances", deletion(completedID)).text(), "preview_token=")
	preview, _, _ := strings.Cut(rest, ",")
	if !found {
		t.Fatal("there is no token")
	}
	confirmed := `{"instance_ids":["` + completedID + `"],"confirm":true,"preview_token":"` + preview + `"}`
	s.done(tokens["two"], "delete_instances", confirmed, "PREVIEW")
	s.done(tokens["one"], "delete_instances", confirmed, "1 deleted")
}

func TestCallersHaveTheirOwnBudgets(t *testing.T) {
	file, tokens := callersFile(t,
		entry{Name: "one", MaxMutationsPerHour: 1}, entry{Name: "more", MaxMutationsPerHour: 1000})
	s := serveHere(t, nil, "--demo", "--transport=http", "--callers="+file, "--max-mutations-per-hour=2")
	s.done(tokens["one"], "restart_instance", restart(completedID))
	s.refused(tokens["one"], "restart_instance", restart(terminatedID), "the hourly limit of 1 changes is reached")
	s.done(tokens["more"], "restart_instance", restart(terminatedID))
	s.done(tokens["more"], "restart_instance", restart(failedID))
	s.refused(tokens["more"], "delete_instances", `{"instance_ids":["d3e0702e9389426cbc9cb86cdc548a54"],"confirm":true}`,
		"the hourly limit of 2 changes is reached")
}

// openedBook returns the callers of a file over HTTP, without a server that could read it again by itself.
func openedBook(t *testing.T, file string) (o server.HTTPOptions, reload func() error, s *served) {
	t.Helper()
	environment(t, nil)
	service, closeAll, err := demoFlag{Demo: true}.open(Streams{}, policyFlags{MaxTargets: 10, MaxMutationsPerHour: 60, auditFlags: auditFlags{AuditLog: "off"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeAll)
	toolbox := newToolbox(service)
	o.Key = make([]byte, 32)
	if reload, err = (&admission{base: toolbox}).open(file, &o); err != nil {
		t.Fatal(err)
	}
	web := server.New(serverOptions(service, toolbox, true, zerolog.Nop())).NewHTTP(o)
	return o, reload, over(t, web.Handler())
}

// Reading the file again must not give anybody a new budget.
func TestReloadKeepsWhatWasSpent(t *testing.T) {
	file, tokens := callersFile(t, entry{Name: "one", MaxMutationsPerHour: 1})
	_, reload, s := openedBook(t, file)
	s.done(tokens["one"], "restart_instance", restart(completedID))
	for name, change := range map[string]entry{
		"unchanged":    {Name: "one", MaxMutationsPerHour: 1, Digest: callers.Digest(tokens["one"])},
		"other policy": {Name: "one", MaxMutationsPerHour: 1, Digest: callers.Digest(tokens["one"]), Protect: []string{"x"}},
	} {
		writeCallers(t, file, change)
		if err := reload(); err != nil {
			t.Fatal(err)
		}
		if r := s.call(tokens["one"], "restart_instance", restart(terminatedID)); !r.IsError || !strings.Contains(r.text(), "hour") {
			t.Errorf("%s: %s", name, r.text())
		}
	}
}

// A stream is held with the tools of its beginning, so it may last only while these are still the caller's.
func TestStillValid(t *testing.T) {
	digest := callers.Digest("token")
	mine := entry{Name: "mine", Digest: digest, Allow: []string{"a"}, Consent: map[string]string{"delete_instances": "human"}}
	with := func(change func(*entry)) []entry {
		changed := mine
		change(&changed)
		return []entry{changed}
	}
	for name, c := range map[string]struct {
		after []entry
		want  bool
	}{
		"unchanged":       {[]entry{mine}, true},
		"another's entry": {[]entry{{Name: "new", Digest: callers.Digest("new")}, mine}, true},
		"removed":         {[]entry{{Name: "new", Digest: callers.Digest("new")}}, false},
		"another token":   {with(func(e *entry) { e.Digest = callers.Digest("other") }), false},
		"another name":    {with(func(e *entry) { e.Name = "other" }), false},
		"read-only":       {with(func(e *entry) { e.ReadOnly = true }), false},
		"allows others":   {with(func(e *entry) { e.Allow = []string{"b"} }), false},
		"asks less":       {with(func(e *entry) { e.Consent = nil }), false},
		"smaller budget":  {with(func(e *entry) { e.MaxMutationsPerHour = 1 }), false},
		"names exchanged": {[]entry{{Name: "mine", Digest: callers.Digest("new")}, {Name: "new", Digest: digest}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			file, _ := callersFile(t, mine)
			var o server.HTTPOptions
			reload, err := (&admission{base: toolbox.New(toolbox.Rules{}, nil)}).open(file, &o)
			if err != nil {
				t.Fatal(err)
			}
			caller, ok := o.Authenticate("token")
			if !ok || !o.StillValid(caller) {
				t.Fatal("the caller is not valid from the beginning")
			}
			writeCallers(t, file, c.after...)
			if err := reload(); err != nil {
				t.Fatal(err)
			}
			if o.StillValid(caller) != c.want {
				t.Errorf("still valid: %v", !c.want)
			}
			now, ok := o.Authenticate("token")
			if ok && (now.Toolbox == nil || !o.StillValid(now)) {
				t.Errorf("who comes now is let in as %+v, and is not valid", now)
			}
			writeFile(t, file, "{")
			if err := reload(); err == nil || o.StillValid(caller) != c.want {
				t.Errorf("after a broken file: %v, still valid %v", err, !c.want)
			}
		})
	}
}

func TestStrangersAreNeverValid(t *testing.T) {
	file, _ := callersFile(t, entry{Name: "one"})
	o, _, _ := openedBook(t, file)
	if caller, ok := o.Authenticate("nobody's"); ok || caller.Name != "" || caller.Toolbox != nil || o.StillValid(caller) {
		t.Errorf("%+v", caller)
	}
	if o.StillValid(server.Caller{Name: "one"}) {
		t.Error("a caller without tools is valid")
	}
}

func TestReloadOnHangup(t *testing.T) {
	stays, stayDigest := callers.NewToken()
	leaves, leaveDigest := callers.NewToken()
	comes, comeDigest := callers.NewToken()
	file, _ := callersFile(t, entry{Name: "stays", Digest: stayDigest}, entry{Name: "leaves", Digest: leaveDigest})
	s := launch(t, nil, "--log-level=info", "serve", "--demo", "--transport=sse", "--listen=127.0.0.1:0", "--callers="+file)
	status := func(token string) int {
		code, _ := s.request(http.MethodPost, "/mcp", token, listTools)
		return code
	}
	if status(stays) != http.StatusOK || status(leaves) != http.StatusOK || status(comes) != http.StatusUnauthorized {
		t.Error("the callers are not those of the file")
	}
	streams := map[string]*bufio.Reader{"stays": s.stream(stays), "leaves": s.stream(leaves)}

	writeCallers(t, file, entry{Name: "stays", Digest: stayDigest}, entry{Name: "comes", Digest: comeDigest, ReadOnly: true})
	s.signal(syscall.SIGHUP)
	s.said(1, "read again on SIGHUP")
	if status(stays) != http.StatusOK || status(leaves) != http.StatusUnauthorized || status(comes) != http.StatusOK {
		t.Error("the callers are not those of the new file")
	}
	if got := s.tools(comes); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(toolNames(onlyReads)))) {
		t.Errorf("the new caller is offered %v", got)
	}
	if rest, err := io.ReadAll(streams["leaves"]); err != nil {
		t.Errorf("the stream of who left did not end properly: %v %q", err, rest)
	}

	for i, spoil := range []func() error{
		func() error { return os.WriteFile(file, []byte(`{"callers":[`), 0o600) },
		func() error { return os.Remove(file) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		s.signal(syscall.SIGHUP)
		s.said(i+1, "what was read before stays in force")
		if status(stays) != http.StatusOK || status(leaves) != http.StatusUnauthorized || status(comes) != http.StatusOK {
			t.Error("a file that cannot be read changed the callers")
		}
	}
	contains(t, "log", s.errs.String(), `"level":"error"`, "the callers stay as they were", "not valid JSON")

	writeCallers(t, file,
		entry{Name: "stays", Digest: stayDigest, ReadOnly: true}, entry{Name: "comes", Digest: comeDigest, ReadOnly: true})
	s.signal(syscall.SIGHUP)
	s.said(2, "read again on SIGHUP")
	if rest, err := io.ReadAll(streams["stays"]); err != nil {
		t.Errorf("a stream under the older policy did not end properly: %v %q", err, rest)
	}
	s.refused(stays, "restart_instance", restart(completedID), "read-only")
	s.signal(syscall.SIGTERM)
	<-s.ended
	if s.err != nil {
		t.Error(s.err)
	}
	for _, secret := range []string{stays, leaves, comes, stayDigest, leaveDigest, comeDigest} {
		if strings.Contains(s.errs.String(), secret) {
			t.Error("a token or its digest is in the log")
		}
	}
}

// stream opens the event stream of the older transport and reads its first event.
func (s *served) stream(token string) *bufio.Reader {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+"/sse", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := s.client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = response.Body.Close() })
	reader := bufio.NewReader(response.Body)
	if line, err := reader.ReadString('\n'); err != nil || strings.TrimSpace(line) != "event: endpoint" {
		s.t.Fatalf("%d %q %v", response.StatusCode, line, err)
	}
	return reader
}
