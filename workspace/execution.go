package workspace

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/lenient"
	clean "github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// Limits of Execute. Those on the counts and on the time are the service's.
const (
	MaxDesktops       = 1000
	MaxScripts        = 10
	MaxTimeoutMinutes = 600
)

// Execution is a batch: every script runs on every desktop (operation ExecuteScriptOrCommand). With a first ("gray") batch,
// named by GrayCount or GrayDesktops, the service runs the other desktops only afterwards. Fields that are nil or empty are
// not sent.
type Execution struct {
	Desktops []string // 1 to 1000 ids
	Scripts  []string // 1 to 10 ids of scripts that exist

	// GrayCount is the size of the first batch. The service picks the desktops, in an order that it does not document; and
	// where it is set beside GrayDesktops, it wins in the sibling operations whose documentation says so.
	GrayCount *int
	// GrayDesktops are the desktops of the first batch, some of Desktops.
	GrayDesktops []string
	// GrayFailThreshold ends the task after the first batch once that many of its desktops have failed: 1 to one below the
	// size of the first batch, which therefore must be 2 or more. Scripts that have begun are not interrupted.
	GrayFailThreshold *int

	// TimeoutMinutes is for each script, 0 to 600. The service documents neither its default nor what 0 means.
	TimeoutMinutes *int
}

// executionBody is the request as it is documented; a client must not send more.
type executionBody struct {
	ResourceType      string   `json:"resource_type"`
	ResourceIDs       []string `json:"resource_ids"`
	ScriptIDs         []string `json:"script_ids"`
	GrayCount         *int     `json:"gray_count,omitempty"`
	GrayResourceIDs   []string `json:"gray_resource_ids,omitempty"`
	GrayFailThreshold *int     `json:"gray_fail_threshold,omitempty"`
	ExecutionTimeout  *int     `json:"execution_timeout,omitempty"`
}

// Check returns nil or an *ArgumentError that lists every rule that x breaks. Execute checks by itself.
func (x Execution) Check() error { return x.check((*problems).ids, true) }

// CheckNamed is Check for desktops that are named by something other than ids and not looked up yet. What only ids can tell
// is not checked: whether GrayDesktops are some of Desktops.
func (x Execution) CheckNamed() error { return x.check((*problems).names, false) }

func (x Execution) check(desktops func(p *problems, field string, ids []string, least, most int), subset bool) error {
	var p problems
	desktops(&p, "resource_ids", x.Desktops, 1, MaxDesktops)
	p.ids("script_ids", x.Scripts, 1, MaxScripts)
	desktops(&p, "gray_resource_ids", x.GrayDesktops, 0, MaxDesktops)
	for _, id := range x.GrayDesktops {
		if subset && !slices.Contains(x.Desktops, id) {
			p.add("gray_resource_ids", "%q is not one of resource_ids; the first batch is a part of them", clean.Line(id, 40))
			break
		}
	}
	x.checkGray(&p)
	if m := x.TimeoutMinutes; m != nil && (*m < 0 || *m > MaxTimeoutMinutes) {
		p.add("execution_timeout", "it must be 0 to %d minutes, not %d", MaxTimeoutMinutes, *m)
	}
	return p.err()
}

func (x Execution) checkGray(p *problems) {
	size, field := len(x.GrayDesktops), "gray_resource_ids"
	what := lang.T("the number of gray_resource_ids, which stands for gray_count,")
	if x.GrayCount != nil {
		size, field, what = *x.GrayCount, "gray_count", lang.Verbatim("gray_count")
		if size < 1 {
			p.add(field, "it must be 1 or more, not %d; leave it out to run all desktops in one batch", size)
		}
	}
	if size > len(x.Desktops) {
		p.add(field, "%s must not exceed the number of resource_ids: %d of %d", what, size, len(x.Desktops))
	}
	if x.GrayFailThreshold == nil {
		return
	}
	threshold := *x.GrayFailThreshold
	if threshold < 1 {
		p.add("gray_fail_threshold", "it must be 1 or more, not %d; leave it out to go on whatever fails", threshold)
	}
	switch {
	case x.GrayCount == nil && len(x.GrayDesktops) == 0:
		p.add("gray_fail_threshold", "it counts the failures of a first batch; give gray_count (2 or more) or gray_resource_ids too")
	case size < 2:
		p.add(field, "with a gray_fail_threshold %s must be 2 or more, not %d, because the service wants the threshold below it", what, size)
	case threshold >= size:
		p.add("gray_fail_threshold", "it must be less than %s: %d is not less than %d", what, threshold, size)
	}
}

// clockMargin is how far back the advice of an uncertain Execute looks when the service's clock is not known: signatures
// that are further off are refused.
const clockMargin = 15 * time.Minute

// Execute hands scripts to desktops and returns the id of the task that this makes. It is sent at most once; where the
// error is Uncertain, its Hint names the list of tasks that shows whether the service took it.
func (c *Client) Execute(ctx context.Context, x Execution) (taskID string, err error) {
	const op = "execute the scripts"
	if err := x.Check(); err != nil {
		return "", (&call{op: op}).invalid(err)
	}
	call := &call{op: op, method: http.MethodPost, path: "/script-executions", write: true, body: executionBody{
		ResourceType: "DESKTOP", ResourceIDs: x.Desktops, ScriptIDs: x.Scripts,
		GrayCount: x.GrayCount, GrayResourceIDs: x.GrayDesktops, GrayFailThreshold: x.GrayFailThreshold,
		ExecutionTimeout: x.TimeoutMinutes,
	}}
	began := c.cfg.Now()
	resp, err := c.do(ctx, call)
	var answer struct {
		TaskID text `json:"task_id"`
	}
	if err == nil && (lenient.Unmarshal(resp.Body, &answer) != nil || answer.TaskID == "") {
		err = call.answerError(resp)
	}
	var e *Error
	if errors.As(err, &e) && e.Uncertain {
		since := began.Add(-clockMargin)
		if skew, known := c.ClockSkew(); known {
			since = began.Add(skew - 5*time.Second) // the service tells its time in whole seconds
		}
		e.Hint = upstream.Text{}
		e.Advise(upstream.Text{
			English: fmt.Sprintf("List the script tasks with script_id %s and execute_time_start %s: one that began with this call and has its desktops is it.",
				x.Scripts[0], timestamp(since)),
			Chinese: fmt.Sprintf("请以 script_id %s 和 execute_time_start %s 列出脚本任务：与本次调用同时开始、且包含这些桌面的就是本次任务。",
				x.Scripts[0], timestamp(since)),
		}, hints)
	}
	return string(answer.TaskID), err
}

// StopTask stops what is left of a task (operation StopScriptExecution).
func (c *Client) StopTask(ctx context.Context, taskID string) error {
	call := &call{
		op: "stop the task", method: http.MethodPost, path: "/script-executions/stop", write: true,
		body: map[string]string{"task_id": taskID},
		settle: upstream.Text{
			English: "Look at the state of the task; stopping it again does no harm.",
			Chinese: "请查看任务的状态；重复停止没有影响。",
		},
	}
	var p problems
	if p.id("task_id", taskID); p.err() != nil {
		return call.invalid(p.err())
	}
	_, err := c.do(ctx, call)
	return err
}
