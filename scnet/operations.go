package scnet

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/lenient"
	clean "github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// What calls try to do, as errors word it.
const (
	opLogin   = "log in"
	opRenew   = "renew the token"
	opFind    = "find the region's address"
	opClock   = "measure the clock"
	opList    = "list instances"
	opDetail  = "look up the instance"
	opRestart = "restart the instance"
	opDelete  = "delete instances"
	opExecute = "execute the script"
	opCreate  = "create the instance"
	opStop    = "stop instances"
	opResize  = "resize the instance"
	opLimits  = "look up the limits of the resource group"
	opGroups  = "list the resource groups"
	opMounts  = "list the mountable directories"
	opImages  = "list the images"
	opAccess  = "look up the access address"

	opFindFiles = "find the region's file service"
	opListFiles = "list files"
	opMkdir     = "make a directory"
	opTouch     = "make a file"
	opRead      = "read a file"
	opRemove    = "remove a run's directory"
)

const (
	instancesPath = "instance-service/task"

	// maxListBody allows for 200 rows that carry long start scripts.
	maxListBody = 16 << 20

	// MaxDeleteIDs is how many ids one Delete takes: they travel in the URL, which gateways cap at a few kilobytes.
	MaxDeleteIDs = 20
	// MaxScriptBytes is the largest script that ExecuteScript sends. The service documents no limit.
	MaxScriptBytes = 64 << 10
)

// Detail returns one instance (page container/detail). An id that does not exist gives ErrNotFound.
func (r *Region) Detail(ctx context.Context, id string) (Instance, error) {
	c := call{
		op: opDetail, region: r, method: http.MethodGet, url: "instance-service/" + id + "/detail", maxBody: maxListBody,
	}
	if err := c.checkIDs(id); err != nil {
		return Instance{}, err
	}
	env, err := r.do(ctx, c)
	if err != nil {
		return Instance{}, err
	}
	if isNull(env.Data) {
		return Instance{}, c.useless(lang.Errorf("%w: %s", ErrNotFound, id))
	}
	var row instanceRow
	if lenient.Unmarshal(env.Data, &row) != nil || row.ID == "" {
		return Instance{}, c.useless(ErrMalformed)
	}
	if string(row.ID) != id { // acting on what somebody else's row shows would be worse than failing
		return Instance{}, c.useless(lang.Errorf("%w: another instance than %s came back", ErrMalformed, id))
	}
	return row.instance(), nil
}

// Restart starts a stopped, failed or completed instance again (page container/restart) and returns the id that the
// service answers with. It may differ from id; the page does not say why.
func (r *Region) Restart(ctx context.Context, id string) (returnedID string, err error) {
	c := call{
		op: opRestart, region: r, method: http.MethodPost, write: true,
		url:    instancesPath + "/actions/restart?" + url.Values{"instanceServiceId": {id}}.Encode(),
		settle: upstream.Text{English: "Its status and start time show it.", Chinese: "请以实例的状态和启动时间为准。"},
	}
	if err := c.checkIDs(id); err != nil {
		return "", err
	}
	env, err := r.do(ctx, c)
	if err != nil {
		return "", err
	}
	var returned text
	_ = lenient.Unmarshal(env.Data, &returned) // text never fails
	return string(returned), nil
}

// Delete deletes up to MaxDeleteIDs instances for good (page container/delete). The service gives no result per id: look
// afterwards what is left.
func (r *Region) Delete(ctx context.Context, ids ...string) error {
	c := call{
		op: opDelete, region: r, method: http.MethodDelete, write: true,
		url:    instancesPath + "?" + url.Values{"ids": ids}.Encode(),
		settle: upstream.Text{English: "List the instances.", Chinese: "请列出实例。"},
	}
	if len(ids) == 0 || len(ids) > MaxDeleteIDs {
		return c.invalid(lang.Errorf("%d ids; 1 to %d go in one call", len(ids), MaxDeleteIDs))
	}
	if err := c.checkIDs(ids...); err != nil {
		return err
	}
	_, err := r.do(ctx, c)
	return err
}

// Script is what ExecuteScript runs.
type Script struct {
	Content string // at most MaxScriptBytes; CRLF becomes LF and a missing final newline is added
	Scope   string // "all" (default) runs it in every container of the instance, "header" in the first
}

// ExecuteScript hands a script to a running instance (page container/execute). Success means that the service took it:
// it reports neither output nor exit code, and offers no way to ask for them.
func (r *Region) ExecuteScript(ctx context.Context, id string, script Script) error {
	c := call{
		op: opExecute, region: r, method: http.MethodPost, write: true, url: instancesPath + "/actions/execute-script",
		header: http.Header{"Content-Type": {"application/json"}},
		settle: upstream.Text{
			English: "The service offers no way to ask: only what the script itself leaves behind shows it.",
			Chinese: "服务没有可查询的接口：只能看脚本自身留下的结果。",
		},
	}
	if err := c.checkIDs(id); err != nil {
		return err
	}
	content, err := NormalizeScript(script.Content)
	if err != nil {
		return c.invalid(err)
	}
	scope := script.Scope
	if scope == "" {
		scope = "all"
	}
	if scope != "all" && scope != "header" {
		return c.invalid(lang.Errorf("%w: scope must be \"all\" or \"header\"", ErrInvalidScript))
	}
	c.body, err = json.Marshal(struct {
		Scope   string `json:"startScriptActionScope"`
		Content string `json:"startScriptContent"`
		ID      string `json:"id"`
	}{scope, content, id})
	if err != nil {
		return c.invalid(err)
	}
	_, err = r.do(ctx, c)
	return err
}

// NormalizeScript returns script with LF line ends and a final newline, as the service wants it. Every error wraps
// ErrInvalidScript.
func NormalizeScript(script string) (string, error) {
	if !utf8.ValidString(script) {
		return "", lang.Errorf("%w: it is not valid UTF-8", ErrInvalidScript)
	}
	script = strings.ReplaceAll(script, "\r\n", "\n")
	if strings.TrimSpace(script) == "" {
		return "", lang.Errorf("%w: it is empty", ErrInvalidScript)
	}
	if strings.ContainsRune(script, 0) {
		return "", lang.Errorf("%w: it holds a NUL character", ErrInvalidScript)
	}
	if !strings.HasSuffix(script, "\n") {
		script += "\n"
	}
	if len(script) > MaxScriptBytes {
		return "", lang.Errorf("%w: %d bytes, at most %d are sent", ErrInvalidScript, len(script), MaxScriptBytes)
	}
	return script, nil
}

// checkIDs refuses what cannot be an id before it reaches a path or a query.
func (c call) checkIDs(ids ...string) error {
	for _, id := range ids {
		if !clean.IsID(id) {
			return c.invalid(lang.Errorf("%w: %q; ids are letters, digits, - and _, usually 32 hexadecimal digits",
				ErrInvalidID, clean.Line(id, 40)))
		}
	}
	return nil
}
