package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/golden"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
	"github.com/scnet-mcp/scnet-mcp/workspace"
	cloudsim "github.com/scnet-mcp/scnet-mcp/workspace/simulator"
)

const conversationFolder = "testdata/conversations"

// conversation is one request of a user, and what a careful model does about it with nothing but what the tools tell it.
type conversation struct {
	name    string
	request string
	on      func(*stage)               // the operator's settings
	human   human                      // who answers a question; nil: the client cannot ask
	before  func(*simulator.Simulator) // what happened before
	model   func(*model)
}

// model is a careful model: it acts on the data of results, and may only go on from an error that it expects.
type model struct {
	t      *testing.T
	w      *world
	cloud  *cloudsim.Simulator
	client *mcpClient
	tools  []string
	tool   string // of the last call
	asked  args
	seen   seen
	said   bytes.Buffer
}

// args are those of a call.
type args map[string]any

// seen is what a call brought.
type seen struct {
	text string
	data row
}

// row is an object in the data.
type row map[string]any

// rows are the objects in a list of the data.
func (r row) rows(field string) (rows []row) {
	list, _ := r[field].([]any)
	for _, element := range list {
		object, _ := element.(map[string]any)
		rows = append(rows, object)
	}
	return rows
}

func (r row) row(field string) row {
	object, _ := r[field].(map[string]any)
	return object
}

func (r row) text(field string) string {
	word, _ := r[field].(string)
	return word
}

func (r row) number(field string) int {
	number, _ := r[field].(float64)
	return int(number)
}

// missing ends a conversation about a tool that the server does not have.
type missing struct{ tool string }

func (m *model) call(tool string, a args) row {
	m.t.Helper()
	if result := m.send(tool, a); result.IsError {
		m.t.Fatalf("stuck: %s %v: %s", tool, a, result.Content[0].Text)
	}
	return m.seen.data
}

// stumble makes a call that has to fail, with a text that holds all of hints: how to go on.
func (m *model) stumble(tool string, a args, hints ...string) row {
	m.t.Helper()
	result := m.send(tool, a)
	if !result.IsError {
		m.t.Fatalf("%s %v did not fail: %s", tool, a, result.Content[0].Text)
	}
	for _, hint := range hints {
		if !strings.Contains(m.seen.text, hint) {
			m.t.Errorf("%s %v does not say %q: %s", tool, a, hint, m.seen.text)
		}
	}
	return m.seen.data
}

// confirm repeats the last call as its preview says.
func (m *model) confirm() row {
	m.t.Helper()
	preview := m.seen.data.row("preview")
	if m.seen.data.text("state") != string(toolbox.NeedsConfirmation) || preview == nil {
		m.t.Fatalf("stuck: %s was not previewed: %s", m.tool, m.seen.text)
	}
	again := args{"confirm": true}
	for name, value := range m.asked {
		again[name] = value
	}
	if token := preview.text("token"); token != "" {
		again["preview_token"] = token
	}
	return m.call(m.tool, again)
}

func (m *model) send(tool string, a args) toolResult {
	m.t.Helper()
	if !slices.Contains(m.tools, tool) {
		panic(missing{tool})
	}
	m.tool, m.asked = tool, a
	encoded, err := json.Marshal(a)
	if err != nil {
		m.t.Fatal(err)
	}
	result := m.client.must(tool, string(encoded))
	m.seen = seen{text: result.Content[0].Text, data: row{}}
	kind := "result"
	if result.IsError {
		kind = "error"
	}
	fmt.Fprintf(&m.said, "=== %s %s\n--- %s\n%s\n", tool, encoded, kind, m.seen.text)
	if result.Structured != nil {
		m.seen.data = decode[row](m.t, result.Structured)
		m.said.WriteString("--- structured\n")
		if err := json.Indent(&m.said, result.Structured, "", " "); err != nil {
			m.t.Fatal(err)
		}
		m.said.WriteByte('\n')
	}
	return result
}

// user is what the user says next.
func (m *model) user(words string) { fmt.Fprintf(&m.said, "=== USER: %s\n", words) }

// answer is what the model tells the user. Every fact of it has been in a text and in data, which the golden file shows.
func (m *model) answer(format string, facts ...any) {
	fmt.Fprintf(&m.said, "=== ANSWER: %s\n", fmt.Sprintf(format, facts...))
}

// is fails the conversation if something is not as it has to be by now.
func (m *model) is(what string, got, want any) {
	m.t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		m.t.Fatalf("%s is %v, want %v\n%s", what, got, want, m.seen.text)
	}
}

// status is what the service itself has for an instance; "" if it does not exist.
func (m *model) status(id string) string {
	for _, region := range simulator.DemoRegions(time.Now()) {
		for _, in := range m.w.sim.Instances(region.ID) {
			if in.ID == id {
				return in.Status
			}
		}
	}
	return ""
}

// TestConversations keeps what users ask for every day, from their words to the answer.
func TestConversations(t *testing.T) {
	files := map[string]bool{}
	for _, c := range conversations() {
		file := filepath.Join(conversationFolder, c.name+".txt")
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if text, held := c.hold(t); held {
					files[file] = true
					golden.Check(t, file, text)
				}
			})
		})
	}
	stored, err := filepath.Glob(filepath.Join(conversationFolder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range stored {
		if !files[file] && !golden.Updating() {
			t.Errorf("%s is of no conversation that the tools allow; run the test with -update", file)
		} else if !files[file] {
			if err := os.Remove(file); err != nil {
				t.Error(err)
			}
		}
	}
}

// hold holds the conversation, unless the server lacks a tool for it, and returns it.
func (c conversation) hold(t *testing.T) (text string, held bool) {
	m := &model{t: t}
	sim := simulator.New(simulator.Options{
		Regions: simulator.DemoRegions(time.Now()), Timing: simulator.Timing{Stopping: 4 * time.Second},
	})
	if c.before != nil {
		c.before(sim)
	}
	on := stage{}
	m.cloud, on.Workspace = simulatedDesktops(t)
	if c.on != nil {
		c.on(&on)
	}
	m.w = build(t, sim, scnet.Config{LoginURL: sim.URL(), PlatformURL: sim.URL(), Transport: sim.Transport()}, on)
	for _, tool := range listTools(t, m.w.server) {
		m.tools = append(m.tools, tool.Name)
	}
	m.client = overStdio("2025-11-25")(m.w, c.human)
	defer m.client.hangUp()
	defer func() {
		switch fault := recover().(type) {
		case nil:
			text, held = changing.ReplaceAllString(m.said.String(), "${1}${2}…"), !t.Failed()
		case missing:
		default:
			panic(fault)
		}
	}()
	m.user(c.request)
	c.model(m)
	return "", false
}

// simulatedDesktops is Huawei Cloud Workspace without a network.
func simulatedDesktops(t *testing.T) (*cloudsim.Simulator, *workspace.Client) {
	t.Helper()
	sim := cloudsim.New(cloudsim.Options{Now: time.Now})
	key := cloudsim.DemoAccount().Keys[0]
	client, err := workspace.New(workspace.Config{
		AccessKey: workspace.NewSecret(key.AccessKey), SecretKey: workspace.NewSecret(key.SecretKey),
		ProjectID: sim.ProjectID(), Region: "cn-north-4", Endpoint: sim.URL(), Transport: sim.Transport(), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return sim, client
}

// changing is what differs each time: tokens, the names that texts are stored under, and the ids of runs.
var changing = regexp.MustCompile(`("token": "|preview_token(?:=|":"))[^", ]+|(scnet-mcp-[0-9a-f]{12}-|\d{8}T\d{6}Z-)[a-z0-9]+`)
