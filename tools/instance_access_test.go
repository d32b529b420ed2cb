package tools_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// canary is in every access address of the simulator.
const canary = "sothisai_"

var accessAllowed = guard.Policy{AllowAccessURLs: true}

// notebook is an instance that has an access address.
func notebook(status string) simulator.Instance {
	in := job(1, status)
	in.TaskType = "jupyter"
	return in
}

func TestAccessAddress(t *testing.T) {
	narrowed := guard.Policy{Caller: "ci"}
	for name, c := range map[string]struct {
		policy guard.Policy
		change func(*simulator.Instance)
		status string // Running when empty
		quirks simulator.Quirks
		fault  simulator.Fault
		shown  bool
		parts  []string
	}{
		"allowed": {policy: accessAllowed, shown: true,
			parts: []string{"http://10.0.35.26:7090/jupyter-forward/" + id(1) + "/?token=" + canary + id(1), "anyone with this address can use the instance",
				"10.0.35.26 is a private address"}},
		"allowed, public": {policy: accessAllowed, quirks: simulator.Quirks{AccessURL: simulator.AccessPublic}, shown: true,
			parts: []string{"https://n-" + id(1) + ".ksai.scnet.cn:58043/"}},
		"not allowed": {parts: []string{"the operator does not allow access addresses to be shown", "console", "https://www.scnet.cn/ui/console/"}},
		"not allowed to the caller": {policy: accessAllowed.Narrow(narrowed),
			parts: []string{"the policy of caller ci does not allow access addresses"}},
		"not allowed by the operator": {policy: guard.Policy{}.Narrow(accessAllowed), parts: []string{"the operator does not allow"}},
		"protected": {policy: guard.Policy{AllowAccessURLs: true, Protect: patterns(t, "name:job-001")},
			parts: []string{"the operator has protected", "console"}},
		"not among the allowed": {policy: guard.Policy{AllowAccessURLs: true, Allow: [][]guard.Pattern{patterns(t, "name:x")}},
			parts: []string{"the operator does not allow changes of", "console"}},
		"stopped": {policy: accessAllowed, status: simulator.Terminated,
			parts: []string{"exists only while the instance is Running; it is Terminated", "restart_instance", "wait_for=Running"}},
		"queueing": {policy: accessAllowed, status: simulator.Waiting, parts: []string{"it is Waiting", "wait_for=Running and show_access=true"}},
		"ssh": {policy: accessAllowed, change: func(in *simulator.Instance) { in.TaskType = "ssh" },
			parts: []string{"an instance of the type ssh has no web address", "console"}},
		"an error that quotes it": {policy: accessAllowed,
			fault: simulator.Fault{Code: "10001", Message: "cannot open http://10.0.35.26:7090/x/?token=" + canary + "abc&a=b"},
			parts: []string{"SCNet does not tell it now", "console"}},
		"no answer": {policy: accessAllowed, fault: simulator.Fault{Status: 503}, parts: []string{"SCNet does not tell it now", "console"}},
	} {
		bubble(t, name, func(t *testing.T) {
			in := notebook(simulator.Running)
			if c.status != "" {
				in.Status = c.status
			}
			if c.change != nil {
				c.change(&in)
			}
			log, records := auditLog(t)
			w := newWatchedWorld(t, setup{instances: []simulator.Instance{in}, quirks: c.quirks, rules: toolbox.Rules{Policy: c.policy, Audit: log}})
			if c.fault != (simulator.Fault{}) {
				c.fault.Endpoint = simulator.EndpointURL
				w.Inject(c.fault)
			}
			var logged bytes.Buffer
			ctx := zerolog.New(&logged).Level(zerolog.TraceLevel).WithContext(t.Context())
			r, err := w.try(ctx, toolbox.Call{Tool: "get_instance", Arguments: encoded(arguments{"instance_id": id(1), "show_access": true})})
			if err != nil {
				t.Fatal(toolbox.Explain(lang.English, err))
			}
			wantParts(t, r.Text, c.parts...)
			out := got(t, r)
			if (out.Access.URL != "") != c.shown || (out.Access.Reason.IsZero()) != c.shown || (out.Next.IsZero()) != c.shown {
				t.Errorf("%+v, next %q", out.Access, out.Next)
			}
			for _, told := range []string{out.Access.URL, out.Access.Reason.String(), out.Access.Note.String(), out.Next.String()} {
				wantParts(t, r.Text, told)
			}
			if !c.shown && strings.Contains(r.Text+string(r.Structured), canary) {
				t.Errorf("the token is shown: %s", r.Text)
			}
			// The token of the sample address holds the id of the instance, which is no secret; the canary is.
			audited, _ := json.Marshal(records())
			observed, _ := json.Marshal(*w.seen)
			for what, text := range map[string]string{"log": logged.String(), "audit log": string(audited), "observations": string(observed)} {
				if strings.Contains(text, canary) {
					t.Errorf("the token is in the %s: %s", what, text)
				}
			}
			asked := len(w.sent(simulator.EndpointURL)) > 0
			if want := c.shown || c.fault != (simulator.Fault{}); asked != want {
				t.Errorf("SCNet was asked for the address: %v, want %v", asked, want)
			}
		})
	}
}

// The address is not told to a caller whose permission ended while the call waited.
func TestAccessAddressIsDecidedLast(t *testing.T) {
	bubble(t, "removed while it waits", func(t *testing.T) {
		in := notebook(simulator.Running)
		w := newWorld(t, setup{instances: []simulator.Instance{in}, rules: toolbox.Rules{Policy: accessAllowed}})
		live := func() (guard.Policy, error) {
			return guard.Policy{}, &guard.Refusal{Rule: guard.CallerRule, Reason: lang.T("caller ci has been removed")}
		}
		w.toolbox = w.toolbox.ForCaller("ci", accessAllowed, live, 0)
		r := w.call(t, "get_instance", arguments{"instance_id": id(1), "show_access": true})
		wantParts(t, r.Text, "caller ci has been removed")
		w.wantSent(t, simulator.EndpointURL, 0)
	})
}

// What is not asked for is not looked up.
func TestAccessAddressOnRequestOnly(t *testing.T) {
	bubble(t, "not asked for", func(t *testing.T) {
		w := newWorld(t, setup{instances: []simulator.Instance{notebook(simulator.Running)}, rules: toolbox.Rules{Policy: accessAllowed}})
		r := w.call(t, "get_instance", arguments{"instance_id": id(1)})
		if got(t, r).Access != nil || strings.Contains(r.Text, "ccess address") {
			t.Errorf("%s", r.Text)
		}
		w.wantSent(t, simulator.EndpointURL, 0)
	})
}
