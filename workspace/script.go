package workspace

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/lenient"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// Limits of a script in characters. The service documents none for the name; its filters take 128.
const (
	MaxScriptName        = 128
	MaxScriptContent     = 100_000
	MaxScriptDescription = 256
	MaxScriptVersion     = 128

	maxRows = 100 // of one list call
)

// ScriptType is the language of a script, in the service's words. It cannot be changed once the script exists.
type ScriptType string

// The documented types (operation CreateScript).
const (
	PowerShell ScriptType = "POWERSHELL" // Windows
	Bat        ScriptType = "BAT"        // Windows
	Shell      ScriptType = "SHELL"      // Linux
)

// System returns the operating system that runs scripts of this type; "" for a type that is not documented.
func (t ScriptType) System() System {
	switch t {
	case PowerShell, Bat:
		return Windows
	case Shell:
		return Linux
	}
	return ""
}

// Script is a stored script. Text is as the service sent it and not cleaned for display.
type Script struct {
	ID          string
	Name        string
	Description string
	Type        ScriptType
	Version     string
	Created     Moment
	Updated     Moment
	Content     string // plain text, from Script only; may hold passwords
}

type scriptRow struct {
	ID          text   `json:"id"`
	Name        text   `json:"name"`
	Description text   `json:"description"`
	Type        text   `json:"type"`
	Version     text   `json:"version"`
	CreateTime  Moment `json:"create_time"`
	UpdateTime  Moment `json:"update_time"`
	Content     text   `json:"content"`
}

func (row scriptRow) script() Script {
	return Script{
		ID: string(row.ID), Name: string(row.Name), Description: string(row.Description), Type: ScriptType(row.Type),
		Version: string(row.Version), Created: row.CreateTime, Updated: row.UpdateTime, Content: string(row.Content),
	}
}

// ScriptFilter selects scripts (operation ListScripts). Zero values leave a filter out.
type ScriptFilter struct {
	ID     string
	Name   string // how it is matched is up to the service
	Type   ScriptType
	Offset int // rows to skip
	Limit  int // 1 to 100; 0 leaves it to the service, which documents 10
}

// Scripts lists scripts without their content.
func (c *Client) Scripts(ctx context.Context, f ScriptFilter) (Page[Script], error) {
	const op = "list the scripts"
	var p problems
	p.optionalID("id", f.ID)
	p.text("name", f.Name, 0, MaxScriptName)
	p.window(f.Offset, f.Limit, maxRows)
	if err := p.err(); err != nil {
		return Page[Script]{}, (&call{op: op}).invalid(err)
	}
	q := queryOf(f.Offset, f.Limit)
	q.set("id", f.ID)
	q.set("name", f.Name)
	q.set("type", string(f.Type))
	call := &call{op: op, method: http.MethodGet, path: "/scripts", query: q.values}
	return page(ctx, c, call, "scripts", f.Offset, func(row *scriptRow) (Script, bool) {
		return row.script(), row.ID != ""
	})
}

// Script returns one script with its content (operation ShowScriptDetail). An id that does not exist gives ErrNotFound.
func (c *Client) Script(ctx context.Context, id string) (Script, error) {
	const op = "look up the script"
	var p problems
	if p.id("script_id", id); p.err() != nil {
		return Script{}, (&call{op: op}).invalid(p.err())
	}
	call := &call{op: op, method: http.MethodGet, path: "/scripts/" + id, maxBody: maxTextBody}
	resp, err := c.do(ctx, call)
	if err != nil {
		return Script{}, err
	}
	var row scriptRow
	if lenient.Unmarshal(resp.Body, &row) != nil || row.ID == "" {
		return Script{}, call.answerError(resp)
	}
	if string(row.ID) != id { // acting on what another script says would be worse than failing
		return Script{}, another(call, id)
	}
	return row.script(), nil
}

// another says that the service answered with something else than was asked for.
func another(call *call, id string) error {
	return call.fail(Error{
		Kind: upstream.Malformed, Delivery: upstream.Answered, Status: http.StatusOK,
		Err: lang.Errorf("%w: another one than %s came back", ErrMalformed, id),
	})
}

// NewScript is what CreateScript stores.
type NewScript struct {
	Name        string // 1 to 128 characters
	Type        ScriptType
	Content     string // 1 to 100,000 characters of plain text, stored unchanged
	Description string // up to 256 characters; "" is not sent
	Version     string // up to 128 characters; "" is not sent
}

// Check returns nil or an *ArgumentError that lists every rule that s breaks. CreateScript checks by itself.
func (s NewScript) Check() error {
	var p problems
	p.text("name", s.Name, 1, MaxScriptName)
	if s.Type.System() == "" {
		p.add("type", "it must be POWERSHELL or BAT (Windows), or SHELL (Linux)")
	}
	p.text("content", s.Content, 1, MaxScriptContent)
	p.text("description", s.Description, 0, MaxScriptDescription)
	p.text("version", s.Version, 0, MaxScriptVersion)
	return p.err()
}

// CreateScript stores a script and returns its id (operation CreateScript). It runs nothing.
func (c *Client) CreateScript(ctx context.Context, s NewScript) (id string, err error) {
	const op = "create the script"
	if err := s.Check(); err != nil {
		return "", (&call{op: op}).invalid(err)
	}
	call := &call{
		op: op, method: http.MethodPost, path: "/scripts", write: true,
		body: struct {
			Name        string     `json:"name"`
			Type        ScriptType `json:"type"`
			Content     string     `json:"content"`
			Description string     `json:"description,omitempty"`
			Version     string     `json:"version,omitempty"`
		}{s.Name, s.Type, s.Content, s.Description, s.Version},
		settle: upstream.Text{English: "List the scripts with this name.", Chinese: "请列出该名称的脚本。"},
	}
	resp, err := c.do(ctx, call)
	if err != nil {
		return "", err
	}
	var answer struct {
		ScriptID text `json:"script_id"`
	}
	if lenient.Unmarshal(resp.Body, &answer) != nil || answer.ScriptID == "" {
		return "", call.answerError(resp)
	}
	return string(answer.ScriptID), nil
}

// DeleteScript deletes a stored script for good (operation DeleteScript). Whether a task that still needs it goes on is
// not documented: wait until it is done.
func (c *Client) DeleteScript(ctx context.Context, id string) error {
	const op = "delete the script"
	var p problems
	if p.id("script_id", id); p.err() != nil {
		return (&call{op: op}).invalid(p.err())
	}
	_, err := c.do(ctx, &call{
		op: op, method: http.MethodDelete, path: "/scripts/" + id, write: true, settle: upstream.Text{English: "List the scripts with this id.", Chinese: "请列出该 ID 的脚本。"},
	})
	return err
}

// query collects parameters; an empty value leaves one out.
type query struct{ values url.Values }

func queryOf(offset, limit int) query {
	q := query{url.Values{}}
	if offset > 0 {
		q.values.Set("offset", strconv.Itoa(offset))
	}
	if limit > 0 {
		q.values.Set("limit", strconv.Itoa(limit))
	}
	return q
}

// set adds key once per value: the service takes arrays as repeated keys.
func (q query) set(key string, values ...string) {
	for _, value := range values {
		if value != "" {
			q.values.Add(key, value)
		}
	}
}
