package schemas

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

var sampleSchema = MustFor[sample]()

func TestDecodeCoerces(t *testing.T) {
	type in struct {
		Int   int64     `json:"int,omitempty" jsonschema_description:"A."`
		Uint  uint64    `json:"uint,omitempty" jsonschema:"minimum=0" jsonschema_description:"A."`
		Float float64   `json:"float,omitempty" jsonschema_description:"A."`
		Bool  bool      `json:"bool,omitempty" jsonschema_description:"A."`
		Text  string    `json:"text,omitempty" jsonschema_description:"A."`
		List  []string  `json:"list,omitempty" jsonschema_description:"A."`
		Ints  []int     `json:"ints,omitempty" jsonschema_description:"A."`
		Bools []bool    `json:"bools,omitempty" jsonschema_description:"A."`
		Deep  *filter   `json:"deep,omitempty" jsonschema_description:"A."`
		Deeps []filter  `json:"deeps,omitempty" jsonschema_description:"A."`
		Grid  [][]int   `json:"grid,omitempty" jsonschema_description:"A."`
		Time  time.Time `json:"time,omitzero" jsonschema_description:"A."`
	}
	schema := MustFor[in]()
	accepted := []struct {
		arguments string
		want      in
	}{
		{``, in{}},
		{`null`, in{}},
		{"  {}\n", in{}},
		{`"{\"int\":5}"`, in{Int: 5}},
		{`" {\"int\":\"5\"} "`, in{Int: 5}},
		{`{"int":5}`, in{Int: 5}},
		{`{"int":"5"}`, in{Int: 5}},
		{`{"int":" -5 "}`, in{Int: -5}},
		{`{"int":5.0}`, in{Int: 5}},
		{`{"int":5e0}`, in{Int: 5}},
		{`{"int":"5.0"}`, in{Int: 5}},
		{`{"int":1.5e3}`, in{Int: 1500}},
		{`{"int":-0.0}`, in{}},
		{`{"int":9223372036854775807}`, in{Int: math.MaxInt64}},
		{`{"int":"9007199254740993"}`, in{Int: 9007199254740993}},
		{`{"int":9007199254740993.0}`, in{Int: 9007199254740993}},
		{`{"uint":"18446744073709551615"}`, in{Uint: math.MaxUint64}},
		{`{"float":"1.5"}`, in{Float: 1.5}},
		{`{"float":"1e3"}`, in{Float: 1000}},
		{`{"float":1}`, in{Float: 1}},
		{`{"bool":"true"}`, in{Bool: true}},
		{`{"bool":"FALSE"}`, in{}},
		{`{"list":"a"}`, in{List: []string{"a"}}},
		{`{"list":"[\"a\",\"b\"]"}`, in{List: []string{"a", "b"}}},
		{`{"list":"[1,2]"}`, in{List: []string{"[1,2]"}}},
		{`{"list":"[a"}`, in{List: []string{"[a"}}},
		{`{"list":"[null]"}`, in{List: []string{"[null]"}}},
		{`{"list":"[]"}`, in{List: []string{}}},
		{`{"ints":["1",2,3.0]}`, in{Ints: []int{1, 2, 3}}},
		{`{"grid":[["1"],[]]}`, in{Grid: [][]int{{1}, {}}}},
		{`{"bools":["True"]}`, in{Bools: []bool{true}}},
		{`{"deep":{"status":"x","count":"3"}}`, in{Deep: &filter{"x", 3}}},
		{`{"deeps":[{"status":"x","count":"3"},{"status":"y","count":null}]}`, in{Deeps: []filter{{"x", 3}, {"y", 0}}}},
		{`{"int":null,"float":null,"bool":null,"text":null,"list":null,"deep":null}`, in{}},
		{`{"text":"true"}`, in{Text: "true"}},
		{`{"text":"<&>\u2028"}`, in{Text: "<&>\u2028"}},
		{`{"text":"<&>\u2028","int":"1"}`, in{Text: "<&>\u2028", Int: 1}},
		{`{"time":"2026-01-31T08:00:00+08:00"}`, in{Time: time.Date(2026, 1, 31, 8, 0, 0, 0, time.FixedZone("", 8*3600))}},
	}
	for _, test := range accepted {
		var got in
		if err := schema.Decode(json.RawMessage(test.arguments), &got); err != nil {
			t.Errorf("%s: %v", test.arguments, err)
		} else if !got.Time.Equal(test.want.Time) {
			t.Errorf("%s: got %v", test.arguments, got.Time)
		} else if got.Time, test.want.Time = (time.Time{}), (time.Time{}); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %+v, want %+v", test.arguments, got, test.want)
		}
	}
	for _, refused := range []string{
		`{"int":"abc"}`, `{"int":""}`, `{"int":" "}`, `{"int":"NaN"}`, `{"int":"Inf"}`, `{"int":"0x10"}`, `{"int":"1_000"}`,
		`{"int":"+5"}`, `{"int":"05"}`, `{"int":"5."}`, `{"int":".5"}`, `{"int":"5.5"}`, `{"int":5.5}`, `{"int":true}`,
		`{"int":9223372036854775808}`, `{"int":1e30}`, `{"int":"1e30"}`, `{"int":"5 5"}`, `{"int":[5]}`,
		`{"uint":-1}`, `{"uint":18446744073709551616}`,
		`{"float":"abc"}`, `{"float":""}`, `{"float":"Infinity"}`, `{"float":"0x1p4"}`, `{"float":1e999}`, `{"float":"1e999"}`,
		`{"bool":"yes"}`, `{"bool":"1"}`, `{"bool":1}`, `{"bool":" true"}`,
		`{"text":5}`, `{"text":true}`, `{"list":5}`, `{"list":""}`, `{"list":[1]}`, `{"list":[null]}`, `{"ints":"1"}`, `{"ints":[null]}`,
		`{"deep":{"status":null}}`, `{"deep":"{\"status\":\"x\"}"}`, `{"deep":[]}`,
		`{"time":"yesterday"}`, `{"time":"2026-06-30T23:59:60Z"}`, `{"time":"2026-01-31t08:00:00z"}`,
		`{"INT":5}`, `{"Int":5}`, `[]`, `5`, `"x"`, `"{"`, `""`, `{} {}`, `{}x`, `{"int":5,}`, `{'int':5}`, `{"int" 5}`, `{"int":5]`, `{1:2}`, `{"int":05}`,
	} {
		var got in
		var wrong *ArgumentError
		if err := schema.Decode(json.RawMessage(refused), &got); !errors.As(err, &wrong) {
			t.Errorf("%s: got %v", refused, err)
		}
	}
}

func TestDecodeMessages(t *testing.T) {
	const valid = "\nValid arguments: region, name, limit, price, force, instance_ids, ports, filter, rules, since, small, cursor"
	long := strings.Repeat("é", 100)
	tests := []struct{ arguments, want string }{
		{`{"name":"a","limit":500,"curs":"x"}`,
			"2 arguments are wrong:\n- limit: expected a whole number from 1 to 200, got 500\n- curs: unknown argument; did you mean \"cursor\"?" + valid},
		{`{"limit":"many","region":"up","zebra":1,"apple":2}`,
			"5 arguments are wrong:\n- region: expected one of \"east\", \"west\", got \"up\"\n- name: required, but missing: Name of the instance\n" +
				"- limit: expected a whole number from 1 to 200, got \"many\"\n- apple: unknown argument\n- zebra: unknown argument" + valid},
		{`{"name":null}`, "1 argument is wrong:\n- name: expected text of 1 to 64 characters matching ^[a-z]{1,64}$, got null"},
		{`{"name":""}`, "1 argument is wrong:\n- name: expected text of 1 to 64 characters matching ^[a-z]{1,64}$, got \"\""},
		{`{"name":"a","price":0.4}`, "1 argument is wrong:\n- price: expected a number of at least 0.5, got 0.4"},
		{`{"name":"a","force":"maybe"}`, "1 argument is wrong:\n- force: expected true or false, got \"maybe\""},
		{`{"name":"a","instance_ids":[]}`, "1 argument is wrong:\n- instance_ids: expected 1 to 3 items, got 0"},
		{`{"name":"a","instance_ids":["aa","bb","c","d"]}`,
			"3 arguments are wrong:\n- instance_ids: expected 1 to 3 items, got 4\n" +
				"- instance_ids[2]: expected text of at least 2 characters, got \"c\"\n- instance_ids[3]: expected text of at least 2 characters, got \"d\""},
		{`{"name":"a","instance_ids":5}`, "1 argument is wrong:\n- instance_ids: expected a list of 1 to 3 items, each text of at least 2 characters, got 5"},
		{`{"name":"a","instanceIds":"aa"}`, "1 argument is wrong:\n- instanceIds: unknown argument; did you mean \"instance_ids\"?" + valid},
		{`{"name":"a","ports":[70000]}`, "1 argument is wrong:\n- ports[0]: expected a whole number of at most 65535, got 70000"},
		{`{"name":"a","filter":{"stat":"x","zzzzz":1}}`,
			"3 arguments are wrong:\n- filter.status: required, but missing: Status\n- filter.stat: unknown field; did you mean \"status\"?\n- filter.zzzzz: unknown field; valid here: status, count"},
		{`{"name":"a","rules":[{"status":"x"},{"status":true}]}`, "1 argument is wrong:\n- rules[1].status: expected text, got true"},
		{`{"name":"a","filter":[]}`, "1 argument is wrong:\n- filter: expected an object with status, count, got an empty list"},
		{`{"name":"a","rules":{"a":1}}`, "1 argument is wrong:\n- rules: expected a list, each an object with status, count, got an object with 1 field"},
		{`{"name":"a","since":"now"}`, "1 argument is wrong:\n- since: expected a date and time such as \"2026-01-31T08:00:00Z\", got \"now\""},
		{`{"name":"a","small":300}`, "1 argument is wrong:\n- small: expected a whole number, got a number that is out of range"},
		{`{"name":"` + long + `"}`, "1 argument is wrong:\n- name: expected text of 1 to 64 characters matching ^[a-z]{1,64}$, got \"" + long[:120] + "…\" (100 characters)"},
		{`{"name":"\n- forged\u202e\u0007"}`, `1 argument is wrong:` + "\n" + `- name: expected text of 1 to 64 characters matching ^[a-z]{1,64}$, got "\n- forged\u202e\a"`},
		{`{"name":"a","\n- forged":1}`, "1 argument is wrong:\n- \"\\n- forged\": unknown argument" + valid},
		{`{"name":"a","` + long + `":1}`, "1 argument is wrong:\n- \"" + long[:120] + "…\": unknown argument" + valid},
		{`{"name":"a","name":"b"}`, "1 argument is wrong:\n- name: given more than once; give it once"},
		{`{"name":"a","n\u0061me":"b","name":"c","limit":0}`, "2 arguments are wrong:\n- name: given more than once; give it once\n- limit: expected a whole number from 1 to 200, got 0"},
		{`{"name":"a","filter":{"status":"a","status":"b"}}`, "1 argument is wrong:\n- filter.status: given more than once; give it once"},
		{`{"name":"a","price":1e999}`, "1 argument is wrong:\n- price: the number is too long or too large"},
		{`{"name":"a","ports":[1,1e-999999]}`, "1 argument is wrong:\n- ports[1]: the number is too long or too large"},
		{`[1]`, "the arguments cannot be read: expected a JSON object, got a list of 1 item" + valid},
		{`"hello"`, "the arguments cannot be read: expected a JSON object, got \"hello\"" + valid},
		{`"{\"name\""`, "the arguments cannot be read: they are a string, and in it the text is not valid JSON from byte 7 of 7 on" + valid},
		{`{"name":`, "the arguments cannot be read: the text is not valid JSON from byte 8 of 8 on" + valid},
		{`{"name":tru}`, "the arguments cannot be read: the text is not valid JSON from byte 12 of 12 on" + valid},
		{`{} {}`, "the arguments cannot be read: the text is not valid JSON from byte 4 of 5 on" + valid},
		{"{\"name\":\"\xff\"}", "the arguments cannot be read: the text is not valid UTF-8" + valid},
		{strings.Repeat("[", 100) + strings.Repeat("]", 100), "the arguments cannot be read: the JSON value is nested more than 64 levels deep" + valid},
		{strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65), "the arguments cannot be read: the JSON value is nested more than 64 levels deep" + valid},
		{strings.Repeat("[", 100000), "the arguments cannot be read: the text is not valid JSON from byte 10001 of 100000 on" + valid},
	}
	for _, test := range tests {
		err := sampleSchema.Decode(json.RawMessage(test.arguments), new(sample))
		var wrong *ArgumentError
		if !errors.As(err, &wrong) {
			t.Errorf("%.80s: got %v", test.arguments, err)
		} else if err.Error() != test.want {
			t.Errorf("%.80s:\ngot  %s\nwant %s", test.arguments, err, test.want)
		}
	}
}

func TestDecodeWithout(t *testing.T) {
	schema := MustFor[sample](Without("region"))
	err := schema.Decode(json.RawMessage(`{"name":"a","region":"east"}`), new(sample))
	if err == nil || !strings.Contains(err.Error(), "- region: unknown argument\nValid arguments: name, ") {
		t.Error(err)
	}
}

func TestDecodeWithoutArguments(t *testing.T) {
	err := MustFor[empty]().Decode(json.RawMessage(`{"a":1}`), new(empty))
	if err == nil || err.Error() != "1 argument is wrong:\n- a: unknown argument; nothing is taken here" {
		t.Error(err)
	}
}

func TestDecodeKeepsPresetFields(t *testing.T) {
	in := sample{Limit: 50}
	if err := sampleSchema.Decode(json.RawMessage(`{"name":"a"}`), &in); err != nil || in.Limit != 50 {
		t.Error(err, in.Limit)
	}
}

func TestDecodeDefects(t *testing.T) {
	for _, into := range []any{nil, sample{}, new(filter), new(int)} {
		err := sampleSchema.Decode(json.RawMessage(`{"name":"a"}`), into)
		var wrong *ArgumentError
		if err == nil || errors.As(err, &wrong) {
			t.Errorf("%T: got %v", into, err)
		}
	}
}

func TestDecodeHostile(t *testing.T) {
	var manyNames, manyItems strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&manyNames, `"x%d":1,`, i)
		manyItems.WriteString(`"",`)
	}
	start := time.Now()
	for _, arguments := range []string{
		`{` + manyNames.String() + `"name":"a"}`,
		`{"name":"a","instance_ids":[` + manyItems.String() + `""]}`,
		`{"name":"a","limit":` + strings.Repeat("9", 1_000_000) + `}`,
		`{"name":"a","limit":"` + strings.Repeat("9", 1_000_000) + `"}`,
		`{"name":"a","limit":1e1000000}`,
		`{"name":"a","limit":1e-1000000}`,
		`{"name":"a","` + strings.Repeat("k", 1_000_000) + `":1}`,
		`{"name":"a","instance_ids":"` + strings.Repeat("[", 1_000_000) + `"}`,
		`"` + strings.Repeat(`{`, 1_000_000) + `"`,
	} {
		err := sampleSchema.Decode(json.RawMessage(arguments), new(sample))
		// A string of brackets is an odd name, but text all the same.
		if err == nil && !strings.Contains(arguments, `"[[`) {
			t.Errorf("%.40s: accepted", arguments)
		}
		if err != nil && len(err.Error()) > 5000 {
			t.Errorf("%.40s: the message has %d bytes", arguments, len(err.Error()))
		}
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestDecodeConcurrently(t *testing.T) {
	schema := MustFor[sample]()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if err := schema.Decode(json.RawMessage(`{"name":"a","limit":"5"}`), new(sample)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestSuggest(t *testing.T) {
	valid := []string{"instance_ids", "status", "limit", "id", "name"}
	for unknown, want := range map[string]string{
		"instanceIds": "instance_ids", "instance-ids": "instance_ids", "InstanceIDs": "instance_ids", "instance_id": "instance_ids",
		"stat": "status", "Status": "status", "lim": "limit", "nme": "name", "ab": "", "zebra": "", "": "",
		strings.Repeat("x", 100): "",
	} {
		if got := suggest(unknown, valid); got != want {
			t.Errorf("%s: got %q, want %q", unknown, got, want)
		}
	}
}

func TestMissingShowsTheFirstSentence(t *testing.T) {
	for description, want := range map[string]string{
		"One. Two.": "One", "One, e.g. two": "One, e.g", "One\nTwo": "One", "一。二": "一", "One.": "One",
	} {
		if got := missing(&node{description: description}).String(); got != "required, but missing: "+want {
			t.Errorf("got %q", got)
		}
	}
}

func TestArgumentErrorByHand(t *testing.T) {
	err := &ArgumentError{Problems: []Problem{{Path: "a", Text: lang.T("b")}, {Path: "c", Text: lang.T("d")}}}
	if got := err.Error(); got != "2 arguments are wrong:\n- a: b\n- c: d" {
		t.Error(got)
	}
}
