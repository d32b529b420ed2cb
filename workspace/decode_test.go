package workspace

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lenient"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

func TestLenientTypes(t *testing.T) {
	for raw, want := range map[string]struct {
		text   text
		number number
		truth  truth
		list   int
		moment string
	}{
		`"7"`:                    {"7", 7, false, 0, "7"},
		`7`:                      {"7", 7, false, 0, "7"},
		`7.9`:                    {"7.9", 7, false, 0, "7.9"},
		`1e300`:                  {"1e300", 0, false, 0, "1e300"},
		`923438311391891457`:     {"923438311391891457", 923438311391891457, false, 0, "923438311391891457"},
		`true`:                   {"true", 0, true, 0, "true"},
		`"TRUE"`:                 {"TRUE", 0, true, 0, "TRUE"},
		`null`:                   {"", 0, false, 0, ""},
		`""`:                     {"", 0, false, 0, ""},
		`" "`:                    {" ", 0, false, 0, ""},
		`0`:                      {"0", 0, false, 0, ""},
		`{"a":1}`:                {"", 0, false, 0, ""},
		`[1,"2",null]`:           {"", 0, false, 2, ""},
		`"0001-01-01T00:00:00Z"`: {"0001-01-01T00:00:00Z", 0, false, 0, ""},
		`"2026-11-21T10:00:00Z"`: {"2026-11-21T10:00:00Z", 0, false, 0, "2026-11-21T10:00:00Z"},
	} {
		var got struct {
			T text                     `json:"t"`
			N number                   `json:"n"`
			B truth                    `json:"b"`
			L list[text]               `json:"l"`
			M Moment                   `json:"m"`
			X lenient.Object[metadata] `json:"x"`
		}
		if err := lenient.Unmarshal([]byte(strings.ReplaceAll(`{"t":X,"n":X,"b":X,"l":X,"m":X,"x":X}`, "X", raw)), &got); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
		if got.T != want.text || got.N != want.number || got.B != want.truth || len(got.L) != want.list || got.M.Raw != want.moment {
			t.Errorf("%s decodes to %+v, want %+v", raw, got, want)
		}
	}
}

func TestMoments(t *testing.T) {
	for raw, want := range map[string]string{
		`"2026-11-21T10:00:00Z"`:          "2026-11-21T10:00:00Z",    // script operations
		`"2026-11-21T10:00:00.250Z"`:      "2026-11-21T10:00:00.25Z", // desktops
		`" 2026-11-21T18:00:00+08:00 "`:   "2026-11-21T18:00:00+08:00",
		`"2026-11-21 10:00:00"`:           "", // in what zone?
		`"2026-11-21T10:00:00"`:           "",
		`"2026-02-30T10:00:00Z"`:          "",
		`"yesterday"`:                     "",
		`1700000000`:                      "", // in what unit?
		`{"at":"2026-11-21T10:00:00Z"}`:   "",
		`"0001-01-01T00:00:00Z"`:          "",
		`"0001-01-01T00:00:00.000+08:00"`: "",
		`null`:                            "",
	} {
		var got Moment
		if err := lenient.Unmarshal([]byte(raw), &got); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
		read := ""
		if !got.At.IsZero() {
			read = got.At.Format(time.RFC3339Nano)
		}
		if read != want || read != "" && !got.IsSet() {
			t.Errorf("%s is read as %q, want %q", raw, read, want)
		}
	}
}

func FuzzMoment(f *testing.F) {
	for _, seed := range []string{`"2026-11-21T10:00:00Z"`, `"9999-12-31T23:59:59.9-23:59"`, `"0000-01-01T00:00:00Z"`, `17`, `"0001-01-02T00:00:00+23:00"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		var got Moment
		if !json.Valid([]byte(raw)) || lenient.Unmarshal([]byte(raw), &got) != nil {
			return
		}
		if !got.At.IsZero() && !got.IsSet() {
			t.Errorf("%s is read as %s, but not set", raw, got.At)
		}
		if _, err := json.Marshal(got.At); err != nil { // it goes into results
			t.Errorf("%s: %v", raw, err)
		}
	})
}

func TestRateLimitPolicy(t *testing.T) {
	for message, want := range map[string]string{
		"policy user over ratelimit,limit:100,time:1 minute":  "100 in 1m0s",
		"over ratelimit, Limit: 5 , Time: 30 Seconds":         "5 in 30s",
		"limit:10,time:2 hours":                               "10 in 2h0m0s",
		"limit:1,time:9999 day":                               "1 in 239976h0m0s",
		"limit:1,time:99999 day":                              "",
		"limit:99999999999999999999,time:1 minute":            "",
		"limit:100,time:1 fortnight":                          "",
		"The throttling threshold has been reached":           "",
		"unlimited:5,time:1 second, limit:7,time:1 SECOND...": "7 in 1s",
	} {
		got := ""
		if rateLimit().MatchString(message) {
			words := strings.TrimPrefix(rateHint(message).English, "At most ")
			words, _, _ = strings.Cut(words, " are allowed")
			got = strings.Replace(words, " calls", "", 1)
		}
		if got != want {
			t.Errorf("%q = %q, want %q", message, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, body := range []string{
		`{"count":1,"script_tasks":[{"id":"1","task_scripts":[{"id":2}],"end_time":""}]}`,
		`{"total_count":"1","desktops":[{"desktop_id":"d","metadata":{"os_type":"Windows"},"addresses":7}]}`,
		`{"error":{"code":403,"message":"no","title":"Forbidden"}}`,
		`{"error_code":"APIGW.0308","error_msg":"limit:100,time:1 minute","request_id":"r"}`,
		`{"id":"1","execute_order":2,"output":null}`,
		`[]`, `<html>`, ``,
	} {
		f.Add(200, body)
		f.Add(500, body)
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		var row struct {
			taskRow
			D desktopRow `json:"d"`
			R recordRow  `json:"r"`
			S scriptRow  `json:"s"`
		}
		_ = lenient.Unmarshal([]byte(body), &row)
		row.task().State()
		_, _, _ = row.D.desktop(), row.R.record(), row.S.script()
		if json.Valid([]byte(body)) { // one odd field must not hide the rest
			var d struct {
				D desktopRow `json:"d"`
			}
			if err := lenient.Unmarshal([]byte(`{"d":{"desktop_id":"x","metadata":`+body+`,"user_list":`+body+`,"created":`+body+`}}`), &d); err != nil || d.D.DesktopID != "x" {
				t.Errorf("%q hides a desktop: %v", body, err)
			}
		}
		e := (&call{write: true, op: "x", secrets: []string{"s3cret"}}).answerError(&upstream.Response{Status: status, Header: http.Header{}, Body: []byte(body)})
		if e.Err == nil || strings.Contains(e.Error(), "s3cret") || strings.ContainsAny(e.Error()+e.Hint.English, "\n\x1b\x00") {
			t.Errorf("%+v", e)
		}
	})
}
