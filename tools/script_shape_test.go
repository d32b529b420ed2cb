package tools_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// TestScriptsHaveOneShape: what is told of a script in one place has the same names, types and meanings on both clouds, in the
// types and in what is published of every tool.
func TestScriptsHaveOneShape(t *testing.T) {
	shape := reflect.TypeFor[tools.ScriptResult]()
	names := map[string]bool{}
	for field := range shape.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names[name] = true
	}
	for _, place := range []reflect.Type{reflect.TypeFor[tools.ScriptContainer](), reflect.TypeFor[tools.RunRecord]()} {
		embeds := false
		for field := range place.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if embeds = embeds || field.Anonymous && field.Type == shape; names[name] && !field.Anonymous {
				t.Errorf("%s has a %s of its own", place, name)
			}
		}
		if !embeds {
			t.Errorf("%s is not a ScriptResult", place)
		}
	}

	published := map[string][]string{} // tools by how they show a field of a script in one place
	for _, tool := range tools.Catalogue() {
		eachObject(t, tool.Output.JSON(), func(properties map[string]json.RawMessage) {
			if properties["exit_code"] == nil && properties["stdout"] == nil {
				return
			}
			for name := range names {
				if properties[name] == nil {
					t.Errorf("%s shows a script without %s", tool.Name, name)
				}
				key := name + " " + string(properties[name])
				published[key] = append(published[key], tool.Name)
			}
		})
	}
	if len(published) != len(names) {
		t.Errorf("%d fields are published in %d ways: %q", len(names), len(published), published)
	}
	for field, by := range published {
		if slices.Sort(by); len(slices.Compact(by)) < 3 {
			t.Errorf("only %q publish %s", by, field)
		}
	}
}

// eachObject calls f with the properties of every object in a schema.
func eachObject(t *testing.T, schema []byte, f func(map[string]json.RawMessage)) {
	t.Helper()
	var node struct {
		Properties map[string]json.RawMessage
		Items      json.RawMessage
	}
	if err := json.Unmarshal(schema, &node); err != nil {
		t.Fatal(err)
	}
	if node.Properties != nil {
		f(node.Properties)
	}
	for _, each := range node.Properties {
		eachObject(t, each, f)
	}
	if node.Items != nil {
		eachObject(t, node.Items, f)
	}
}

// TestPlainScriptsAreAsDocumented: without capture, what is sent is the documentation's own example and nothing else: one
// request, byte for byte but for the blanks, and the end of the last line.
func TestPlainScriptsAreAsDocumented(t *testing.T) {
	sample, err := os.ReadFile("../scnet/simulator/testdata/samples/execute-script.txt")
	if err != nil {
		t.Fatal(err)
	}
	request, _, _ := strings.Cut(string(sample), "\n---\n")
	_, data, found := strings.Cut(request, "--data '")
	var want bytes.Buffer
	if err := json.Compact(&want, []byte(strings.TrimSuffix(data, "'"))); err != nil || !found {
		t.Fatal(err)
	}
	var example struct {
		Script string `json:"startScriptContent"`
		Scope  string `json:"startScriptActionScope"`
		ID     string
	}
	if err := json.Unmarshal(want.Bytes(), &example); err != nil {
		t.Fatal(err)
	}
	const lastLine = `echo \"hello world\"`
	body := strings.Replace(want.String(), lastLine, lastLine+`\n`, 1)
	synctest.Test(t, func(t *testing.T) {
		instance := job(1, simulator.Running)
		instance.ID = example.ID
		w := newWorld(t, setup{instances: []simulator.Instance{instance}})
		var header http.Header
		w.wire.Before = func(r *http.Request) {
			if isWrite(r, "execute-script") {
				header = r.Header.Clone()
			}
		}
		r := w.confirmed(t, "execute_script", execution(example.Script, example.ID).with(arguments{"scope": example.Scope}))
		wantOutcomes(t, r, "done", "accepted")
		sent := w.sent(simulator.EndpointExecute)
		if len(sent) != 1 || sent[0].Body != body || sent[0].Query != "" || !strings.Contains(request, sent[0].Path+"'") || sent[0].Method != "POST" {
			t.Errorf("sent %+v\nwant %s", sent, body)
		}
		if header.Get("Content-Type") != "application/json" || header.Get("Token") == "" {
			t.Errorf("%v", header)
		}
		for _, other := range w.Requests() { // and the storage is left alone
			if strings.HasPrefix(string(other.Endpoint), "file-") {
				t.Errorf("%+v", other)
			}
		}
	})
}
