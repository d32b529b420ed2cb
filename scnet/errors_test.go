package scnet_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// codes are the documented codes of the container pages, and 816822, which was seen on-premises.
var codes = []struct {
	code    string
	message string // of the service
	gloss   []string
	hint    string
	cause   error  // nil for none that callers tell apart
	refuses string // the operation of which it is a documented refusal, or "any"
}{
	{"10001", "内部异常(其他异常)", []string{"内部异常", "internal error"}, "Try again later", nil, ""},
	{"10003", "参数不全", []string{"参数不全", "parameter is missing"}, "", nil, "any"},
	{"10004", "参数无效", []string{"参数无效", "parameter is invalid"}, "another region", nil, "any"},
	{"10007", "用户已被冻结", []string{"用户已被冻结", "frozen"}, "SCNet support", scnet.ErrFrozen, "any"},
	{"10008", "权限不足", []string{"权限不足", "expired or invalid"}, "token", scnet.ErrTokenRefused, "any"},
	{"10009", "没有权限访问接口", []string{"没有权限访问接口", "no permission"}, "right to use", nil, "any"},
	{"10010", "文件校验失败", []string{"文件校验失败", "checksum"}, "", nil, "any"},
	{"10011", "文件过大", []string{"文件过大", "too large"}, "Send less", nil, "any"},
	{"10012", "连接中断", []string{"连接中断", "interrupted"}, "Look at the instance", nil, ""},
	{"716020", "查询数据库错误", []string{"查询数据库错误", "database"}, "list the instances", nil, ""},
	{"716864", "执行脚本错误", []string{"执行脚本错误", "script"}, "Running", nil, "execute"},
	{"716865", "创建任务错误", []string{"创建任务错误", "created"}, "list_resources", nil, "create"},
	{"716866", "删除任务失败", []string{"删除任务失败", "deleted"}, "status", nil, "delete"},
	{"716868", "启动任务错误", []string{"启动任务错误", "started"}, "status", nil, "restart"},
	{"716870", "实例数量错误", []string{"实例数量错误", "number"}, "status", nil, "execute"},
	{"816822", "任务不存在", []string{"任务不存在", "does not exist"}, "List the instances", scnet.ErrNotFound, ""},
}

func TestErrorCodes(t *testing.T) {
	t.Parallel()
	for _, c := range codes {
		for _, status := range []int{0, 400, 403, 500} {
			t.Run(fmt.Sprint(c.code, " HTTP ", status), func(t *testing.T) {
				t.Parallel()
				for _, op := range operations {
					sim, r := open(t, simulator.Options{})
					sim.Inject(simulator.Fault{Endpoint: op.endpoint, Code: c.code, Status: status, Own: simulator.OwnFault{CodeAsInt: status == 403}})
					err := op.run(t.Context(), r)
					e := asError(t, err)
					wantStatus := max(status, 200)
					if e.Code != c.code || e.Message != c.message || e.Status != wantStatus || e.Delivery != upstream.Answered {
						t.Errorf("%s: %+v", op.name, e)
					}
					if c.cause != nil && !errors.Is(err, c.cause) {
						t.Errorf("%s: cause %v, want %v", op.name, e.Err, c.cause)
					}
					for _, word := range append([]string{c.code, c.message, "华东一区【昆山】 (11250)"}, c.gloss...) {
						if !strings.Contains(err.Error(), word) {
							t.Errorf("%s: %q is not in %q", op.name, word, err)
						}
					}
					if status != 0 != strings.Contains(err.Error(), fmt.Sprint("HTTP ", status)) {
						t.Errorf("%s: HTTP status in %q", op.name, err)
					}
					retryable := !op.write && slices.Contains([]string{"10001", "10012", "716020"}, c.code)
					uncertain := op.write && (status == 500 || c.refuses != "any" && c.refuses != op.name)
					hint := c.hint
					switch {
					case uncertain:
						hint = "look before you repeat it"
					case op.name == "list" && c.code == "716020": // not to list the instances
						hint = "try again in a moment"
					}
					if !strings.Contains(e.Hint.English, hint) || (e.Hint.English == "") != (e.Hint.Chinese == "") {
						t.Errorf("%s: hint %q, want %q", op.name, e.Hint, hint)
					}
					if e.Retryable != retryable || e.Uncertain != uncertain {
						t.Errorf("%s: retryable %v, uncertain %v; want %v, %v", op.name, e.Retryable, e.Uncertain, retryable, uncertain)
					}
					if strings.Contains(e.Endpoint, "?") || !strings.Contains(e.Endpoint, "/ai/openapi/v2/") {
						t.Errorf("%s: endpoint %q", op.name, e.Endpoint)
					}
					if op.write {
						wantSent(t, sim, op.endpoint, 1)
					}
				}
			})
		}
	}
}

func TestUnknownCode(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"code":"999999","msg":"新的错误"}`:                             "新的错误",
		`{"code":999999,"message":"新的错误","data":"text"}`:             "新的错误",
		`{"code":"999999","msg":null,"message":"新的错误"}`:              "新的错误",
		`{"code":"999999","msg":"a\u001b[31m\n\u202eb"}`:             "a\uFFFD[31m \uFFFDb",
		`{"code":"999999","msg":"` + strings.Repeat("长", 500) + `"}`: strings.Repeat("长", 199) + "…",
		`{"code":"999999"}`:                  "",
		`{"code":"999999","msg":{"zh":"错"}}`: "",
	} {
		err := canned(t, 200, body).Delete(t.Context(), running)
		e := asError(t, err)
		if e.Code != "999999" || e.Message != want || e.Meaning.String() != "" || !e.Uncertain || e.Retryable || e.Kind != upstream.Internal {
			t.Errorf("%s: %+v", body, e)
		}
	}
}

func TestSuccessCodeWithABadStatus(t *testing.T) {
	t.Parallel()
	for _, status := range []int{302, 303, 400, 403, 404, 405, 429, 500, 502} {
		err := canned(t, status, `{"code":"0","msg":"success","data":null}`).Delete(t.Context(), running)
		if e := asError(t, err); e.Status != status || !e.Uncertain || e.Retryable {
			t.Errorf("HTTP %d: %+v", status, e)
		}
	}
}

// TestOnlyDocumentedRefusalsAreCertain holds for what else may stand between a write and its answer.
func TestOnlyDocumentedRefusalsAreCertain(t *testing.T) {
	t.Parallel()
	fakecloudtest.Uncertain(t, map[string][]int{
		`<html>Access denied</html>`:  {401, 404, 405, 429},
		``:                            {401, 404, 405, 429},
		`[]`:                          {401, 404, 405, 429},
		`{"error":"forbidden"}`:       {401, 404, 405, 429},
		`{"code":"500","msg":"x"}`:    nil,
		`{"code":-1,"msg":"x"}`:       nil,
		`{"code":"999999","msg":"x"}`: nil,
		`{"code":"716020","msg":"查询数据库错误"}`:              nil,
		`{"code":"716868","msg":"of another operation"}`: nil,
		`{"code":"10004","msg":"参数无效"}`:                  {200, 400, 401, 403, 404, 405, 408, 409, 413, 422, 429, 451},
		`{"code":10004.0,"msg":"参数无效"}`:                  {200, 400, 401, 403, 404, 405, 408, 409, 413, 422, 429, 451},
		`{"code":"716866","msg":"删除任务失败"}`:               {200, 400, 401, 403, 404, 405, 408, 409, 413, 422, 429, 451},
	}, []int{200, 302, 303, 307, 400, 401, 403, 404, 405, 408, 409, 413, 422, 429, 451, 500, 501, 502, 503, 504, 599},
		func(status int, body string) *scnet.Error {
			return asError(t, canned(t, status, body).Delete(t.Context(), running))
		})
}

func TestSuccessInEveryShape(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"code":"0"}`, `{"code":0}`, `{"code":0.0}`, `{"code":"0.0"}`, `{"code":200}`, "\ufeff" + `{"code":"0"}`} {
		if err := canned(t, 200, body).Delete(t.Context(), running); err != nil {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func TestFailuresOfTheAccountPersist(t *testing.T) {
	t.Parallel()
	for code, persists := range map[string]bool{"10007": true, "10008": true, "10004": false, "10001": false, "716866": false} {
		e := asError(t, canned(t, 200, `{"code":"`+code+`"}`).Delete(t.Context(), running))
		if e.Persists() != persists {
			t.Errorf("%s: %+v", code, e)
		}
	}
}

func TestMessageThatRepeatsACredential(t *testing.T) {
	t.Parallel()
	account := simulator.DemoAccount()
	_, r := open(t, simulator.Options{}, func(c *scnet.Config) {
		real := &http.Transport{}
		t.Cleanup(real.CloseIdleConnections)
		c.Transport = fakecloudtest.RoundTrip(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/detail") {
				return fakecloudtest.Answer(200, `{"code":"10008","msg":"jwt token `+r.Header.Get("Token")+` is invalid"}`), nil
			}
			return real.RoundTrip(r)
		})
	})
	_, err := r.Detail(t.Context(), running)
	if e := asError(t, err); e.Message != "jwt token [secret] is invalid" {
		t.Errorf("message = %q", e.Message)
	}
	failing, err := scnet.New(scnet.Config{
		User: account.User, AccessKey: scnet.NewSecret(account.AccessKey), SecretKey: scnet.NewSecret(account.SecretKey),
		Transport: fakecloudtest.RoundTrip(func(r *http.Request) (*http.Response, error) {
			return fakecloudtest.Answer(200, `{"code":"10009","msg":"`+r.Header.Get("Signature")+` of `+r.Header.Get("Accesskey")+` is wrong"}`), nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = failing.Regions(t.Context())
	if e := asError(t, err); e.Message != "[secret] of [secret] is wrong" {
		t.Errorf("message = %q", e.Message)
	}
}

func TestDeliveryWords(t *testing.T) {
	for d, want := range map[upstream.Delivery]string{upstream.NotSent: "not sent", upstream.Unknown: "unknown", upstream.Answered: "answered", 9: "9"} {
		if d.String() != want {
			t.Errorf("%d = %q", int(d), d)
		}
	}
}
