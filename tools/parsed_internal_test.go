package tools

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/scnet"
)

func TestSpell(t *testing.T) {
	for limit, want := range map[string]string{
		"36h": "36:00:00", "3d": "72:00:00", "1.5D": "36:00:00", " 12:00:00 ": "12:00:00", "90m": "01:30:00", "Unlimited": "unlimited",
		"1天": "24:00:00", "12小时": "12:00:00", "3 个小时": "03:00:00", "90分钟": "01:30:00", "1天12小时": "36:00:00", "2日": "48:00:00", "不限时": "unlimited",
		"3d2h": "74:00:00", "5000h": "5000:00:00",
		"": "", "d": "", "-1d": "", "0": "", "2h3d": "", "3d-1h": "", "3d2d": "", "1m1d": "", "12小时1天": "", "一天": "", "天": "", "2us9d": "", "100000d": "", "soon": "",
	} {
		if got, ok := spell(limit); got != want || ok != (want != "") {
			t.Errorf("%q is spelt %q, %v; want %q", limit, got, ok, want)
		}
	}
}

// A time limit costs money, so what is spelt has to be what the service reads as a limit, and days have to be days.
func FuzzSpell(f *testing.F) {
	for _, limit := range []string{"36h", "3d", "2h3d", "1.5d", "12:00:00", "unlimited", "-1h", "1e9d", "1天12小时", "不限"} {
		f.Add(limit)
	}
	f.Fuzz(func(t *testing.T, limit string) {
		spelt, ok := spell(limit)
		if !ok {
			return
		}
		d, known := scnet.ParseTimeLimit(spelt)
		if !known || (d == 0) != (spelt == scnet.Unlimited) {
			t.Errorf("%q is spelt %q, which is %v, %v", limit, spelt, d, known)
		}
		if number, days := strings.CutSuffix(strings.ToLower(strings.Join(strings.Fields(limit), "")), "d"); days && d > 0 {
			if hours, err := time.ParseDuration(number + "h"); err != nil || d != (hours*24).Truncate(time.Second) {
				t.Errorf("%q is spelt %q, and is %v days", limit, spelt, hours.Hours())
			}
		}
	})
}

// An access address that is shown is one line that a browser takes for the address that the service sent.
func FuzzShownAddress(f *testing.F) {
	for _, answered := range []string{
		"http://10.0.35.26:7090/jupyter-forward/1/?token=a", "https://c-1.ksai.scnet.cn:58043/", "javascript:alert(1)", "http://x/\u202e", "{}",
		"http://x/\n| do", "https://user:pw@x/", "http://[::1]/", "//x/y",
	} {
		f.Add(answered)
	}
	f.Fuzz(func(t *testing.T, answered string) {
		address, note, ok := shownAddress(answered)
		if !ok {
			if address != "" || !note.IsZero() {
				t.Errorf("%q is not shown, but %q, %q", answered, address, note)
			}
			return
		}
		sent, err := url.Parse(answered)
		shown, err2 := url.Parse(address)
		if err != nil || err2 != nil || shown.Host != sent.Host || shown.RawQuery != sent.RawQuery || shown.Path != sent.Path ||
			strings.ContainsAny(address, " \n\r\t\x1b\u202e") || !strings.HasPrefix(address, "http") || !strings.Contains(note.String(), "secret") {
			t.Errorf("%q is shown as %q, %q", answered, address, note)
		}
	})
}
