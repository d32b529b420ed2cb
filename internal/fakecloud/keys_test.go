package fakecloud_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// settings has a field of every kind.
type settings struct {
	Name    string            `key:"name"`
	When    string            `key:"when" only:"with"`
	Count   int               `key:"count"`
	Status  int               `key:"status"`
	On      bool              `key:"on"`
	Wait    time.Duration     `key:"wait"`
	Take    time.Duration     `key:"take" zero:"none"`
	Form    form              `key:"form" words:"plain fancy odd"`
	Words   map[string]string `key:"words"`
	Ignored string
}

type form int

func TestKeys(t *testing.T) {
	for text, want := range map[string]settings{
		"":                                {},
		"name=a,on":                       {Name: "a", On: true},
		`name="a, \"b\"\n",count=3`:       {Name: "a, \"b\"\n", Count: 3},
		"wait=1.5s,form=odd":              {Wait: 1500 * time.Millisecond, Form: 2},
		"words=a:b|c:":                    {Words: map[string]string{"a": "b", "c": ""}},
		`words="a:b,c"`:                   {Words: map[string]string{"a": "b,c"}},
		"name=http://127.0.0.1:9/?a=b,on": {Name: "http://127.0.0.1:9/?a=b", On: true},
	} {
		var got settings
		if err := fakecloud.ParseKeys(text, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		var again settings
		if err := fakecloud.ParseKeys(fakecloud.KeysText(got), &again); err != nil || !reflect.DeepEqual(again, want) {
			t.Errorf("%s became %q: %+v, %v", text, fakecloud.KeysText(got), again, err)
		}
	}
	none := settings{}
	if err := fakecloud.ParseKeys("wait=0s,take=0s", &none); err != nil || none.Wait != 0 || none.Take != -1 {
		t.Errorf("%+v, %v", none, err)
	}
	changed := settings{Name: "kept", On: true}
	if err := fakecloud.ParseKeys("on=false,form=plain", &changed); err != nil || !reflect.DeepEqual(changed, settings{Name: "kept"}) {
		t.Errorf("%+v, %v", changed, err)
	}
	want := []string{"name=TEXT", "when=TEXT", "count=N", "status=N", "on", "wait=DURATION", "take=DURATION", "form=plain|fancy|odd", "words=FROM:TO|…"}
	if got := fakecloud.Keys(settings{}); !slices.Equal(got, want) {
		t.Errorf("Keys: %q", got)
	}
}

func TestKeysRefuse(t *testing.T) {
	for text, want := range map[string]string{
		"stauts=503":                `unknown key "stauts" (valid: name, when, count, status, on, wait, take, form, words)`,
		"on,,name=a":                `unknown key ""`,
		"Ignored=x":                 "unknown key",
		"count=x":                   `key "count": "x" is not a count`,
		"count=-1":                  `key "count": "-1" is not a count`,
		"count":                     `key "count": "true" is not a count`,
		"count=9999999999999999999": "is not a count",
		"wait=5":                    `key "wait": "5" is not a duration`,
		"wait=-5s":                  `key "wait": "-5s" is not a duration`,
		"on=maybe":                  `key "on": "maybe" is neither true nor false`,
		"form=gaudy":                `key "form": "gaudy" is not one of plain, fancy, odd`,
		"words=a":                   `key "words": "a" is not FROM:TO`,
		`name="1`:                   `key "name": bad quoting`,
		`name="1"2`:                 `key "name": text after the closing quote`,
	} {
		if err := fakecloud.ParseKeys(text, &settings{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

// own is how the service of the test fails beside what the kit knows.
type own struct {
	When string `key:"when" only:"with"`
	On   bool   `key:"on"`
}

func TestParseFault(t *testing.T) {
	names := []string{"list", "stop"}
	for text, want := range map[string]fakecloud.Fault[string, own]{
		"list:on":                           {Endpoint: "list", Own: own{On: true}},
		"*:code=x":                          {Code: "x"},
		"stop:status=503,when=x,on":         {Endpoint: "stop", Status: 503, Own: own{On: true, When: "x"}},
		"list:after=1,times=2,latency=1.5s": {Endpoint: "list", After: 1, Times: 2, Latency: 1500 * time.Millisecond},
	} {
		f, err := fakecloud.ParseFault[string, own](text, "operation", names)
		if err != nil || f != want || f.String() != text {
			t.Errorf("%s: %+v, %v", text, f, err)
		}
	}
	for text, want := range map[string]string{
		"":                `unknown operation ""`,
		"lists:on":        `unknown operation "lists" (valid: *, list, stop)`,
		"list":            "says nothing that should go wrong",
		"list:when=x":     "says nothing that should go wrong",
		"list:status=99":  `key "status": not between 200 and 599`,
		"list:status=600": `key "status": not between 200 and 599`,
	} {
		if _, err := fakecloud.ParseFault[string, own](text, "operation", names); err == nil ||
			!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), fmt.Sprintf("fault %q", text)) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add(`name="a,b",count=3,on=0,wait=3s,form=odd,words=a:b|c:d`)
	f.Add("status=500,on")
	f.Fuzz(func(t *testing.T, text string) {
		var got, again settings
		if fakecloud.ParseKeys(text, &got) != nil || got.Take < 0 {
			return // what says none has no text
		}
		if err := fakecloud.ParseKeys(fakecloud.KeysText(got), &again); err != nil || !reflect.DeepEqual(got, again) {
			t.Errorf("%q: %q: %+v, %v", text, fakecloud.KeysText(got), again, err)
		}
	})
}

func TestJournal(t *testing.T) {
	j := fakecloud.Journal[int]{Max: 3}
	for i := range 100 {
		j.Add(i)
		if all := j.All(); len(all) > 6 || len(all) < min(i+1, 3) || all[len(all)-1] != i {
			t.Fatalf("after %d: %v", i, all)
		}
	}
}
