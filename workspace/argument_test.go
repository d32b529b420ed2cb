package workspace_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

func ids(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("id-%d", i)
	}
	return out
}

func TestExecutionRules(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		x    workspace.Execution
		want []string // "field: words", one for each problem
	}{
		"plain":               {x: workspace.Execution{Desktops: ids(1), Scripts: ids(1)}},
		"most":                {x: workspace.Execution{Desktops: ids(1000), Scripts: ids(10), TimeoutMinutes: new(600), GrayCount: new(1000), GrayFailThreshold: new(999)}},
		"minute 0":            {x: workspace.Execution{Desktops: ids(1), Scripts: ids(1), TimeoutMinutes: new(0)}},
		"gray":                {x: workspace.Execution{Desktops: ids(3), Scripts: ids(1), GrayCount: new(2), GrayFailThreshold: new(1)}},
		"gray of one":         {x: workspace.Execution{Desktops: ids(3), Scripts: ids(1), GrayCount: new(1)}},
		"gray ids":            {x: workspace.Execution{Desktops: ids(3), Scripts: ids(1), GrayDesktops: ids(2), GrayFailThreshold: new(1)}},
		"one gray id":         {x: workspace.Execution{Desktops: ids(3), Scripts: ids(1), GrayDesktops: ids(1)}},
		"gray count and ids":  {x: workspace.Execution{Desktops: ids(5), Scripts: ids(1), GrayDesktops: ids(1), GrayCount: new(3), GrayFailThreshold: new(2)}},
		"no desktop":          {workspace.Execution{Scripts: ids(1)}, []string{"resource_ids: 1 to 1000"}},
		"1001 desktops":       {workspace.Execution{Desktops: ids(1001), Scripts: ids(1)}, []string{"resource_ids: 1 to 1000 ids go in one call, not 1001"}},
		"no script":           {workspace.Execution{Desktops: ids(1)}, []string{"script_ids: 1 to 10"}},
		"11 scripts":          {workspace.Execution{Desktops: ids(1), Scripts: ids(11)}, []string{"script_ids: 1 to 10"}},
		"-1 minutes":          {workspace.Execution{Desktops: ids(1), Scripts: ids(1), TimeoutMinutes: new(-1)}, []string{"execution_timeout: it must be 0 to 600 minutes"}},
		"601 minutes":         {workspace.Execution{Desktops: ids(1), Scripts: ids(1), TimeoutMinutes: new(601)}, []string{"execution_timeout: it must be 0 to 600 minutes"}},
		"twice":               {workspace.Execution{Desktops: []string{"a", "b", "a", "a"}, Scripts: []string{"s", "s"}}, []string{`resource_ids: "a" (and 1 more) is there twice`, `script_ids: "s" is there twice`}},
		"path":                {workspace.Execution{Desktops: []string{"../x"}, Scripts: []string{"a/b"}}, []string{`resource_ids: "../x" is not an id`, `script_ids: "a/b" is not an id`}},
		"long":                {workspace.Execution{Desktops: []string{strings.Repeat("a", 129)}, Scripts: []string{""}}, []string{"resource_ids: ", `script_ids: "" is not`}},
		"threshold alone":     {workspace.Execution{Desktops: ids(3), Scripts: ids(1), GrayFailThreshold: new(1)}, []string{"gray_fail_threshold: it counts the failures of a first batch"}},
		"threshold of one":    {workspace.Execution{Desktops: ids(3), Scripts: ids(1), GrayCount: new(1), GrayFailThreshold: new(1)}, []string{"gray_count: with a gray_fail_threshold gray_count must be 2 or more, not 1"}},
		"threshold too high":  {workspace.Execution{Desktops: ids(3), Scripts: ids(1), GrayCount: new(2), GrayFailThreshold: new(2)}, []string{"gray_fail_threshold: it must be less than gray_count: 2 is not less than 2"}},
		"threshold 0":         {workspace.Execution{Desktops: ids(3), Scripts: ids(1), GrayCount: new(2), GrayFailThreshold: new(0)}, []string{"gray_fail_threshold: it must be 1 or more, not 0"}},
		"count 0":             {workspace.Execution{Desktops: ids(3), Scripts: ids(1), GrayCount: new(0)}, []string{"gray_count: it must be 1 or more"}},
		"count too high":      {workspace.Execution{Desktops: ids(3), Scripts: ids(1), GrayCount: new(4)}, []string{"gray_count: gray_count must not exceed the number of resource_ids: 4 of 3"}},
		"stranger":            {workspace.Execution{Desktops: ids(3), Scripts: ids(1), GrayDesktops: []string{"id-0", "other"}}, []string{`gray_resource_ids: "other" is not one of resource_ids`}},
		"gray twice":          {workspace.Execution{Desktops: ids(3), Scripts: ids(1), GrayDesktops: []string{"id-0", "id-0"}}, []string{`gray_resource_ids: "id-0" is there twice`}},
		"one id, threshold":   {workspace.Execution{Desktops: ids(3), Scripts: ids(1), GrayDesktops: ids(1), GrayFailThreshold: new(1)}, []string{"gray_resource_ids: with a gray_fail_threshold the number of gray_resource_ids, which stands for gray_count, must be 2 or more"}},
		"two ids, high":       {workspace.Execution{Desktops: ids(3), Scripts: ids(1), GrayDesktops: ids(2), GrayFailThreshold: new(2)}, []string{"gray_fail_threshold: it must be less than the number of gray_resource_ids"}},
		"everything at once":  {workspace.Execution{Scripts: []string{"/"}, TimeoutMinutes: new(700), GrayFailThreshold: new(0)}, []string{"resource_ids: ", "script_ids: ", "gray_fail_threshold: it must be 1", "gray_fail_threshold: it counts", "execution_timeout: "}},
		"text that would act": {workspace.Execution{Desktops: []string{"a\x1b[2J\u202e"}, Scripts: ids(1)}, []string{"resource_ids: \"a\uFFFD[2J\uFFFD\" is not an id"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := scripted(t, func(*http.Request) (*http.Response, error) {
				if c.want != nil {
					t.Error("a request was sent")
				}
				return fakecloudtest.Answer(200, `{"task_id":"t"}`), nil
			})
			_, err := client.Execute(t.Context(), c.x)
			if c.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			e := asError(t, err)
			var arguments *workspace.ArgumentError
			if !errors.As(err, &arguments) || e.Delivery != upstream.NotSent || e.Retryable || e.Uncertain || e.Hint.English != "" {
				t.Fatalf("err = %+v", e)
			}
			var got []string
			for _, p := range arguments.Problems {
				got = append(got, p.Field+": "+p.Message.String())
			}
			if len(got) != len(c.want) || !slices.EqualFunc(got, c.want, strings.HasPrefix) {
				t.Errorf("problems\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			for _, want := range c.want {
				if !strings.Contains(strings.ReplaceAll(err.Error(), `\"`, `"`), want) {
					t.Errorf("%q is not in %q", want, err)
				}
			}
		})
	}
}

func TestScriptRules(t *testing.T) {
	t.Parallel()
	good := workspace.NewScript{Name: "n", Type: workspace.Bat, Content: "c"}
	for name, c := range map[string]struct {
		change func(*workspace.NewScript)
		want   string
	}{
		"plain":            {func(*workspace.NewScript) {}, ""},
		"longest":          {func(s *workspace.NewScript) { s.Content = strings.Repeat("长", 100_000) }, ""},
		"longest name":     {func(s *workspace.NewScript) { s.Name = strings.Repeat("长", 128) }, ""},
		"no name":          {func(s *workspace.NewScript) { s.Name = "" }, "name: 1 to 128"},
		"long name":        {func(s *workspace.NewScript) { s.Name = strings.Repeat("长", 129) }, "name: 1 to 128 characters are allowed, not 129"},
		"no content":       {func(s *workspace.NewScript) { s.Content = "" }, "content: 1 to 100000"},
		"long content":     {func(s *workspace.NewScript) { s.Content = strings.Repeat("x", 100_001) }, "content: 1 to 100000"},
		"not UTF-8":        {func(s *workspace.NewScript) { s.Content = "\xff" }, "content: it is not valid UTF-8"},
		"NUL":              {func(s *workspace.NewScript) { s.Content = "a\x00" }, "content: it holds a NUL"},
		"long description": {func(s *workspace.NewScript) { s.Description = strings.Repeat("x", 257) }, "description: 0 to 256"},
		"long version":     {func(s *workspace.NewScript) { s.Version = strings.Repeat("x", 129) }, "version: 0 to 128"},
		"no type":          {func(s *workspace.NewScript) { s.Type = "" }, "type: it must be POWERSHELL"},
		"other type":       {func(s *workspace.NewScript) { s.Type = "shell" }, "type: it must be POWERSHELL"},
	} {
		s := good
		c.change(&s)
		_, err := canned(t, 200, `{"script_id":"1"}`).CreateScript(t.Context(), s)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: err = %v, want %q", name, err, c.want)
		}
	}
}

func TestFilterRules(t *testing.T) {
	t.Parallel()
	never := scripted(t, func(r *http.Request) (*http.Response, error) {
		t.Errorf("%s was sent", r.URL)
		return nil, errors.New("no")
	})
	for want, run := range map[string]func(context.Context) error{
		"limit: it must be 1 to 500": func(ctx context.Context) error {
			_, err := never.Desktops(ctx, workspace.DesktopFilter{Limit: 501})
			return err
		},
		"desktop_id: 0 to 100": func(ctx context.Context) error {
			_, err := never.Desktops(ctx, workspace.DesktopFilter{IDs: ids(101)})
			return err
		},
		"pool_id: ": func(ctx context.Context) error {
			_, err := never.Desktops(ctx, workspace.DesktopFilter{PoolID: "a,b"})
			return err
		},
		"user_name: 0 to 256": func(ctx context.Context) error {
			_, err := never.Desktops(ctx, workspace.DesktopFilter{User: strings.Repeat("u", 4<<20)})
			return err
		},
		"script_name: 0 to 256": func(ctx context.Context) error {
			_, err := never.Tasks(ctx, workspace.TaskFilter{ScriptName: strings.Repeat("u", 4<<20)})
			return err
		},
		"limit: it must be 1 to 100, or 0": func(ctx context.Context) error {
			_, err := never.Scripts(ctx, workspace.ScriptFilter{Limit: 101})
			return err
		},
		"offset: it must be 0 to 2147483646, not -1": func(ctx context.Context) error {
			_, err := never.Tasks(ctx, workspace.TaskFilter{Offset: -1})
			return err
		},
		"offset: it must be 0 to 2147483646, not 2147483647": func(ctx context.Context) error {
			_, err := never.Records(ctx, workspace.RecordFilter{Offset: 2147483647})
			return err
		},
		"script_id: \"..\" is not an id": func(ctx context.Context) error {
			_, err := never.Script(ctx, "..")
			return err
		},
		"script_id: \"a/b\"": func(ctx context.Context) error { return never.DeleteScript(ctx, "a/b") },
		"record_id: \"\"": func(ctx context.Context) error {
			_, err := never.Record(ctx, "")
			return err
		},
		"task_id: \" \"": func(ctx context.Context) error { return never.StopTask(ctx, "  ") },
		"task_id: \"?\"": func(ctx context.Context) error {
			_, err := never.Task(ctx, "?")
			return err
		},
	} {
		e := asError(t, run(t.Context()))
		text := strings.ReplaceAll(e.Error(), `" "`, `""`)
		if e.Delivery != upstream.NotSent || !strings.Contains(text, strings.ReplaceAll(want, `" "`, `""`)) {
			t.Errorf("err = %v, want %q", e, want)
		}
	}
}
