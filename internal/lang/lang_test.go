package lang_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		setting string
		env     map[string]string
		want    lang.Lang
		fails   bool
	}{
		{setting: "zh", env: map[string]string{"LANG": "en_US.UTF-8"}, want: lang.Chinese},
		{setting: "en", env: map[string]string{"LANG": "zh_CN.UTF-8"}, want: lang.English},
		{setting: "auto", env: map[string]string{"LANG": "zh_CN.UTF-8"}, want: lang.Chinese},
		{env: map[string]string{"LC_MESSAGES": "zh-Hans", "LANG": "en_US"}, want: lang.Chinese},
		{env: map[string]string{"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, want: lang.English},
		{env: map[string]string{"LANG": "ZH_cn"}, want: lang.Chinese},
		{env: map[string]string{"LANG": "zhuang"}, want: lang.English},
		{want: lang.English},
		{setting: "fr", want: lang.English, fails: true},
	} {
		got, err := lang.Parse(c.setting, func(name string) string { return c.env[name] })
		if got != c.want || (err != nil) != c.fails {
			t.Errorf("%q, %v: %v, %v", c.setting, c.env, got, err)
		}
	}
}

func TestText(t *testing.T) {
	count := lang.Count(2, "instance")
	for _, c := range []struct {
		text             lang.Text
		english, chinese string
	}{
		{lang.Text{}, "", ""},
		{lang.Verbatim("job 100%"), "job 100%", "job 100%"},
		{count, "2 instances", "2 个实例"},
		{lang.Count(1, "instance"), "1 instance", "1 个实例"},
		{lang.T("run it in %s", count), "run it in 2 instances", "在 2 个实例中执行"},
		{lang.T("would delete %s for good in %s; what is not in mounted storage is lost.", count, "east"),
			"would delete 2 instances for good in east; what is not in mounted storage is lost.", "将永久删除 east 中的 2 个实例；不在挂载存储中的内容会丢失。"},
		{lang.Sentences(lang.T("Nothing was changed."), lang.Text{}, lang.T("The user said no.")), "Nothing was changed. The user said no.",
			"没有做任何变更。用户已拒绝。"},
		{lang.Names([]string{"a", "b"}), "a, b", "a、b"},
		{lang.Some([]string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"}), "1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 1 more",
			"1、2、3、4、5、6、7、8、9、10等，另有 1 个"},
		{lang.T("status %s", lang.Verbatim("a b")).Map(func(s string) string { return s + "!" }), "status a b!", "状态 a b!"},
		{lang.T("%s", lang.Age(-time.Second)), "0s", "0秒"},
		{lang.T("%s", lang.Age(47*time.Hour)), "47h", "47小时"},
		{lang.T("%s", lang.Span(13*24*time.Hour+23*time.Hour)), "13d 23h", "13天23小时"},
		{lang.T("%s", lang.Span(119*time.Minute)), "1h 59m", "1小时59分"},
	} {
		if got := c.text.String(); got != c.english {
			t.Errorf("got %q, want %q", got, c.english)
		}
		if got := c.text.In(lang.Chinese); got != c.chinese {
			t.Errorf("got %q, want %q", got, c.chinese)
		}
		encoded, err := json.Marshal(c.text)
		var back lang.Text
		if err != nil || json.Unmarshal(encoded, &back) != nil || back.String() != c.english {
			t.Errorf("%q is encoded as %s, %v", c.english, encoded, err)
		}
	}
}

func TestErrors(t *testing.T) {
	refused := lang.Errorf("the service refused")
	wrapped := lang.Errorf("%w. Nothing was changed", refused)
	foreign := fmt.Errorf("step 3: %w", wrapped)
	for _, c := range []struct {
		err              error
		english, chinese string
	}{
		{refused, "the service refused", "服务拒绝了请求"},
		{wrapped, "the service refused. Nothing was changed", "服务拒绝了请求。没有做任何变更"},
		{foreign, "step 3: the service refused. Nothing was changed", "step 3: 服务拒绝了请求。没有做任何变更"},
		{errors.Join(refused, lang.T("not found").Error()), "the service refused\nnot found", "服务拒绝了请求\n不存在"},
		{errors.New("read: reset"), "read: reset", "read: reset"},
		{nil, "", ""},
	} {
		if got := lang.English.Say(c.err); got != c.english {
			t.Errorf("got %q, want %q", got, c.english)
		}
		if got := lang.Chinese.Say(c.err); got != c.chinese {
			t.Errorf("got %q, want %q", got, c.chinese)
		}
	}
	if !errors.Is(foreign, refused) {
		t.Error("the cause is lost")
	}
}
