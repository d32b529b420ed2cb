package workspace_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/workspace"
	"github.com/scnet-mcp/scnet-mcp/workspace/simulator"
)

func TestErrorShapes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status                   int
		body                     string
		code, message, requestID string
		cause                    error
	}{
		"service":         {400, `{"error_code":"WKS.00211102","error_msg":"bad id"}`, "WKS.00211102", "bad id", "from-header", workspace.ErrRefused},
		"service, newer":  {403, `{"error_code":"WKS.00081102","error_msg":"no","error_detail":"d","encoded_authorization_message":"x"}`, "WKS.00081102", "no", "from-header", workspace.ErrDenied},
		"gateway":         {401, `{"error_msg":"verify aksk signature fail","error_code":"APIGW.0301","request_id":"from-body"}`, "APIGW.0301", "verify aksk signature fail", "from-header", workspace.ErrCredential},
		"IAM":             {403, `{"error":{"code":403,"message":"You are not authorized","title":"Forbidden"}}`, "403", "You are not authorized", "from-header", workspace.ErrDenied},
		"IAM, text code":  {401, `{"error":{"code":"401","title":"Unauthorized"}}`, "401", "Unauthorized", "from-header", workspace.ErrCredential},
		"nested service":  {400, `{"error":{"error_code":"X.1","error_msg":"m"}}`, "X.1", "m", "from-header", workspace.ErrRefused},
		"code, message":   {409, `{"code":"C.1","message":"m"}`, "C.1", "m", "from-header", workspace.ErrRefused},
		"camel":           {422, `{"errorCode":"E1","errorMsg":"m"}`, "E1", "m", "from-header", workspace.ErrRefused},
		"numeric code":    {400, `{"error_code":7,"error_msg":["x"]}`, "7", "", "from-header", workspace.ErrRefused},
		"error as text":   {400, `{"error":"nope"}`, "", "nope", "from-header", workspace.ErrRefused},
		"message only":    {404, `{"message":"gone"}`, "", "gone", "from-header", workspace.ErrNotFound},
		"HTML":            {403, `<html><title>403</title></html>`, "", "", "from-header", workspace.ErrDenied},
		"HTML 404":        {404, `<html>not here</html>`, "", "", "from-header", workspace.ErrNoAPI},
		"HTML 400":        {400, `<html>bad</html>`, "", "", "from-header", workspace.ErrMalformed},
		"HTML 200":        {200, `<html>log in</html>`, "", "", "from-header", workspace.ErrMalformed},
		"empty 500":       {500, ``, "", "", "from-header", workspace.ErrFailed},
		"array":           {503, `[1]`, "", "", "from-header", workspace.ErrUnavailable},
		"no such API":     {404, `{"error_code":"APIGW.0101","error_msg":"m","request_id":"r"}`, "APIGW.0101", "m", "from-header", workspace.ErrNoAPI},
		"method":          {405, `{"error_code":"WKS.00000405","error_msg":"m"}`, "WKS.00000405", "m", "from-header", workspace.ErrNoAPI},
		"throttled":       {429, `{"error_code":"APIGW.0308","error_msg":"m"}`, "APIGW.0308", "m", "from-header", workspace.ErrThrottled},
		"throttled, 403":  {403, `{"error_code":"APIGW.0308","error_msg":"m"}`, "APIGW.0308", "m", "from-header", workspace.ErrThrottled},
		"throttled, HTML": {429, `<html>slow down</html>`, "", "", "from-header", workspace.ErrThrottled},
		"control":         {400, `{"error_code":"a\u001b[31m","error_msg":"x\n\u202ey"}`, "a\uFFFD[31m", "x \uFFFDy", "from-header", workspace.ErrRefused},
		"long":            {400, `{"error_code":"` + strings.Repeat("c", 99) + `","error_msg":"` + strings.Repeat("长", 999) + `"}`, strings.Repeat("c", 39) + "…", strings.Repeat("长", 299) + "…", "from-header", workspace.ErrRefused},
		"redirect":        {302, ``, "", "", "from-header", workspace.ErrRedirect},
	} {
		for _, header := range []string{"X-Request-Id", "X-Iam-Trace-Id"} {
			client := scripted(t, func(*http.Request) (*http.Response, error) {
				resp := fakecloudtest.Answer(c.status, c.body)
				resp.Header.Set(header, "from-header")
				resp.Header.Set("Retry-After", "60") // no retries here
				return resp, nil
			})
			_, err := client.Scripts(t.Context(), workspace.ScriptFilter{})
			e := asError(t, err)
			want := c.requestID
			if header == "X-Iam-Trace-Id" && strings.Contains(c.body, `"request_id"`) {
				want = e.RequestID // the body's goes first; checked below
				if !strings.Contains(c.body, `"request_id":"`+want+`"`) {
					t.Errorf("%s: request id %q", name, want)
				}
			}
			if !errors.Is(err, c.cause) || e.Status != c.status || e.Code != c.code || e.Message != c.message || e.RequestID != want || e.Delivery != upstream.Answered || e.Uncertain {
				t.Errorf("%s: %+v", name, e)
			}
			for _, word := range []string{c.code, c.message, want, "list the scripts", "GET workspace.cn-north-4.myhuaweicloud.com/v2/p1/scripts"} {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%s: %q is not in %q", name, word, err)
				}
			}
		}
	}
}

func TestDocumentedCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code        string
		status      int
		gloss, hint string
	}{
		{"WKS.00139901", 400, "invalid parameter", "Check ids"},
		{"WKS.00211102", 400, "invalid parameter", "Check ids"},
		{"WKS.00211102", 403, "", "lacks a right"}, // a code alone says nothing
		{"WKS.00081102", 403, "no permission", "lacks a right"},
		{"WKS.00081102", 400, "", ""},
		{"WKS.00000405", 405, "method not allowed", "HUAWEICLOUD_SDK_REGION"},
		{"WKS.00211401", 500, "operation failed", "request id"},
		{"APIGW.0101", 404, "no such API", "HUAWEICLOUD_SDK_REGION"},
		{"APIGW.0201", 400, "bad request", ""},
		{"APIGW.0201", 413, "12 MB", "Send less"},
		{"APIGW.0201", 414, "too long", "fewer ids"},
		{"APIGW.0201", 494, "headers", ""},
		{"APIGW.0201", 502, "down", "try again"},
		{"APIGW.0201", 504, "in time", "try again"},
		{"APIGW.0301", 401, "signature", "HUAWEICLOUD_SDK_AK"},
		{"APIGW.0303", 401, "15 minutes", "clock"},
		{"APIGW.0305", 401, "authentication", "HUAWEICLOUD_SDK_AK"},
		{"APIGW.0302", 403, "not authorised", "lacks a right"},
		{"APIGW.0304", 403, "not authorised", "lacks a right"},
		{"APIGW.0306", 403, "not authorised", "lacks a right"},
		{"APIGW.0307", 401, "another region", "temporary keys"},
		{"APIGW.0308", 429, "throttled", "Wait"},
		{"APIGW.0310", 403, "project", "HUAWEICLOUD_SDK_PROJECT_ID"},
		{"APIGW.0601", 500, "gateway", "try again"},
		{"APIGW.0605", 500, "gateway", "try again"},
		{"APIGW.0606", 500, "gateway", "try again"},
		{"APIGW.0610", 502, "behind the gateway", "try again"},
		{"APIGW.0613", 503, "authentication is down", "try again"},
		{"APIGW.0801", 403, "not open", "HUAWEICLOUD_SDK_REGION"},
		{"APIGW.0802", 403, "may not use", "administrator"},
		{"WKS.12345678", 400, "", ""},
	} {
		t.Run(fmt.Sprint(c.code, c.status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // retries wait
				body := fmt.Sprintf(`{"error_code":%q,"error_msg":"m"}`, c.code)
				_, err := canned(t, c.status, body).Scripts(t.Context(), workspace.ScriptFilter{})
				e := asError(t, err)
				if !strings.Contains(e.Meaning.String(), c.gloss) || (c.gloss == "") != (e.Meaning.String() == "") || !strings.Contains(err.Error(), e.Meaning.String()) {
					t.Errorf("gloss %q of %v", e.Meaning.String(), err)
				}
				if !strings.Contains(e.Hint.English, c.hint) || (c.hint == "") != (e.Hint.English == "") {
					t.Errorf("hint %q, want %q", e.Hint.English, c.hint)
				}
			})
		})
	}
}

func TestThrottling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim := simulator.New(simulator.Options{Now: time.Now})
		client := newClient(t, sim, inside(sim, time.Now))

		sim.Inject(simulator.Fault{Code: "APIGW.0308", Times: 2})
		if _, err := client.Scripts(t.Context(), workspace.ScriptFilter{}); err != nil {
			t.Errorf("a read that is throttled twice: %v", err)
		}
		wantSent(t, sim, simulator.OpListScripts, 3)

		sim.Inject(simulator.Fault{Code: "APIGW.0308"})
		_, err := client.Execute(t.Context(), example)
		e := asError(t, err)
		if !errors.Is(err, workspace.ErrThrottled) || !e.Retryable || e.Uncertain ||
			e.Status != 429 || e.Code != "APIGW.0308" || e.RequestID == "" || !strings.Contains(e.Hint.English, "At most 100 calls in 1m0s") {
			t.Errorf("a write: %+v, hint %q", e, e.Hint.English)
		}
		wantSent(t, sim, simulator.OpExecute, 1)
		if len(sim.Tasks()) != 0 {
			t.Error("a task was made")
		}

		sim.ClearFaults()
		sim.Inject(simulator.Fault{Code: "APIGW.0308", RetryAfter: "9", Times: 1})
		began := time.Now()
		if _, err := client.Scripts(t.Context(), workspace.ScriptFilter{}); err != nil || time.Since(began) != 9*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		sim.Inject(simulator.Fault{Code: "APIGW.0308", RetryAfter: "3600"})
		began = time.Now()
		_, err = client.Scripts(t.Context(), workspace.ScriptFilter{})
		if e := asError(t, err); time.Since(began) != 0 || e.RetryAfter != time.Hour || !strings.Contains(e.Hint.English, "1h0m0s") {
			t.Errorf("%+v after %s", e, time.Since(began))
		}
	})
}

func TestClock(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{-16 * time.Minute, 16 * time.Minute} {
		sim, client := open(t, simulator.Options{}, func(c *workspace.Config) { c.Now = func() time.Time { return time.Now().Add(off) } })
		if _, known := client.ClockSkew(); known {
			t.Error("the skew is known before a call")
		}
		_, err := client.Execute(t.Context(), example)
		e := asError(t, err)
		if !errors.Is(err, workspace.ErrCredential) || e.Code != "APIGW.0303" || !strings.Contains(e.Hint.English, "clock is off by 16m") && !strings.Contains(e.Hint.English, "clock is off by 15m59s") {
			t.Errorf("%+v, hint %q", e, e.Hint.English)
		}
		if skew, known := client.ClockSkew(); !known || (skew+off).Abs() > 2*time.Second {
			t.Errorf("skew %s, want %s", skew, -off)
		}
		wantSent(t, sim, simulator.OpExecute, 1)
	}
}

func TestRefusedKeys(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]change{
		"wrong secret key":    func(c *workspace.Config) { c.SecretKey = workspace.NewSecret("another") },
		"unknown access key":  func(c *workspace.Config) { c.AccessKey = workspace.NewSecret("another") },
		"token is missing":    func(c *workspace.Config) { temporary(c); c.SecurityToken = workspace.Secret{} },
		"token of other keys": func(c *workspace.Config) { temporary(c); c.SecurityToken = workspace.NewSecret("another") },
	} {
		_, client := open(t, simulator.Options{}, change)
		_, err := client.Scripts(t.Context(), workspace.ScriptFilter{})
		if e := asError(t, err); !errors.Is(err, workspace.ErrCredential) || e.Retryable || !strings.Contains(e.Hint.English, "HUAWEICLOUD_SDK_SK") {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestSuccessWithoutAnID(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `{}`, `{"task_id":""}`, `{"task_id":null,"script_id":null}`, `<html>`, `[]`} {
		c := canned(t, 200, body)
		_, err := c.Execute(t.Context(), example)
		if e := asError(t, err); !errors.Is(err, workspace.ErrMalformed) || !e.Uncertain || e.Retryable {
			t.Errorf("%q: %+v", body, e)
		}
		_, err = c.CreateScript(t.Context(), workspace.NewScript{Name: "n", Type: workspace.Bat, Content: "c"})
		if e := asError(t, err); !errors.Is(err, workspace.ErrMalformed) || !e.Uncertain || !strings.Contains(e.Hint.English, "List the scripts") {
			t.Errorf("%q: %+v", body, e)
		}
		if err := c.StopTask(t.Context(), "t"); err != nil { // documented without a body
			t.Errorf("%q: %v", body, err)
		}
	}
	if id, err := canned(t, 200, `{"task_id":923438311391891457}`).Execute(t.Context(), example); err != nil || id != "923438311391891457" {
		t.Errorf("a number as id: %s, %v", id, err)
	}
}

// TestOnlyDocumentedRefusalsAreCertain holds for what else may stand between a write and its answer.
func TestOnlyDocumentedRefusalsAreCertain(t *testing.T) {
	t.Parallel()
	documented := []int{400, 401, 403, 404, 405, 413, 414, 429, 494}
	fakecloudtest.Uncertain(t, map[string][]int{
		`{"error_code":"WKS.00211102","error_msg":"m"}`: documented,
		`{"error_code":"WKS.12345678","error_msg":"m"}`: documented, // the service has more codes than its pages for scripts list
		`{"error_code":"APIGW.0301","error_msg":"m"}`:   documented,
		`{"error_code":"APIGW.0613","error_msg":"m"}`:   append([]int{503}, documented...),
		`{"error_code":"APIGW.0201","error_msg":"m"}`:   documented,
		`{"error_code":"X.1","error_msg":"m"}`:          {429},
		`{"code":"403","message":"m"}`:                  {429},
		`{"message":"gone"}`:                            {429},
		`<html>Access denied</html>`:                    {429},
		``:                                              {429},
	}, []int{302, 303, 400, 401, 403, 404, 405, 407, 408, 409, 410, 413, 414, 422, 429, 451, 494, 500, 502, 503, 504},
		func(status int, body string) *workspace.Error {
			return asError(t, canned(t, status, body).StopTask(t.Context(), "t"))
		})
}

func TestSuccessThatSaysItFailed(t *testing.T) {
	t.Parallel()
	c := canned(t, 200, `{"error_code":"WKS.00211401","error_msg":"failed"}`)
	for name, err := range map[string]error{"stop": c.StopTask(t.Context(), "t"), "delete": c.DeleteScript(t.Context(), "s")} {
		if e := asError(t, err); !e.Uncertain || e.Code != "WKS.00211401" {
			t.Errorf("%s: %+v", name, e)
		}
	}
}
