package gosdk

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// prompts lists the prompts and fetches one with an argument that the server has completed.
func prompts(t *testing.T, session *mcp.ClientSession) {
	listed, err := session.ListPrompts(deadline(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	const name = "why_not_running"
	if !slices.ContainsFunc(listed.Prompts, func(p *mcp.Prompt) bool { return p.Name == name }) {
		t.Errorf("no %s in %+v", name, listed.Prompts)
	}
	instance := completed(t, session, &mcp.CompleteReference{Type: "ref/prompt", Name: name}, "instance", "qwen-finetune-02")
	got, err := session.GetPrompt(deadline(t), &mcp.GetPromptParams{Name: name, Arguments: map[string]string{"instance": instance}})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(got.Messages, func(m *mcp.PromptMessage) bool {
		text, isText := m.Content.(*mcp.TextContent)
		return isText && strings.Contains(text.Text, "Waiting")
	}) {
		t.Errorf("no status in %+v", got.Messages)
	}
	if _, err := session.GetPrompt(deadline(t), &mcp.GetPromptParams{Name: name}); err == nil || !strings.Contains(err.Error(), "instance is missing") {
		t.Errorf("without its argument: %v", err)
	}
}

// resources reads all resources, and an instance by its template.
func resources(t *testing.T, session *mcp.ClientSession) {
	listed, err := session.ListResources(deadline(t), nil)
	if err != nil || len(listed.Resources) < 3 {
		t.Fatal(err, listed)
	}
	for _, resource := range listed.Resources {
		if content := read(t, session, resource.URI); content.URI != resource.URI || content.MIMEType != resource.MIMEType {
			t.Errorf("%+v, want %+v", content, resource)
		}
	}
	templates, err := session.ListResourceTemplates(deadline(t), nil)
	if err != nil || len(templates.ResourceTemplates) != 1 {
		t.Fatal(err, templates)
	}
	template := templates.ResourceTemplates[0].URITemplate
	id := completed(t, session, &mcp.CompleteReference{Type: "ref/resource", URI: template}, "id", "qwen-finetune-02")
	var shown struct {
		Instance struct {
			Name string `json:"name"`
		} `json:"instance"`
	}
	content := read(t, session, strings.Replace(template, "{id}", id, 1))
	if err := json.Unmarshal([]byte(content.Text), &shown); err != nil || shown.Instance.Name != "qwen-finetune-02" {
		t.Errorf("%v, %s", err, content.Text)
	}
}

func read(t *testing.T, session *mcp.ClientSession, uri string) *mcp.ResourceContents {
	t.Helper()
	result, err := session.ReadResource(deadline(t), &mcp.ReadResourceParams{URI: uri})
	if err != nil || len(result.Contents) != 1 || result.Contents[0].Text == "" {
		t.Fatalf("%s: %v, %+v", uri, err, result)
	}
	return result.Contents[0]
}

// completed returns the first completion of what has been typed.
func completed(t *testing.T, session *mcp.ClientSession, ref *mcp.CompleteReference, argument, typed string) string {
	t.Helper()
	result, err := session.Complete(deadline(t), &mcp.CompleteParams{
		Ref: ref, Argument: mcp.CompleteParamsArgument{Name: argument, Value: typed},
	})
	if err != nil || len(result.Completion.Values) == 0 {
		t.Fatalf("%s: %v, %+v", argument, err, result)
	}
	return result.Completion.Values[0]
}
