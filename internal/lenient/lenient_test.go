package lenient_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/lenient"
)

type row struct {
	Text   lenient.Text               `json:"text"`
	Number lenient.Number             `json:"number"`
	Truth  lenient.Truth              `json:"truth"`
	List   lenient.List[lenient.Text] `json:"list"`
}

func TestForms(t *testing.T) {
	for in, want := range map[string]string{
		`{}`: `{ 0 false []}`,
		`{"text":"a","number":3,"truth":true,"list":["x","y"]}`:            `{a 3 true [x y]}`,
		`{"text":9007199254740993,"number":"3","truth":"TRUE","list":[1]}`: `{9007199254740993 3 true [1]}`,
		`{"text":true,"number":3.0,"truth":1,"list":[null,"x"]}`:           `{true 3 true [x]}`,
		`{"text":null,"number":null,"truth":null,"list":null}`:             `{ 0 false []}`,
		`{"text":{},"number":{},"truth":{},"list":{}}`:                     `{ 0 false []}`,
		`{"text":[1],"number":"many","truth":"false","list":"x"}`:          `{ 0 false []}`,
		`{"number":1e300}`: `{ 0 false []}`,
		`{"TEXT":"a","tExt":"b","te_xt":"c","te-xt":"d"}`:            `{b 0 false []}`,
		"{\"text\":\"a\xff\",\"list\":[\"\\ud800\"]}":                "{a\ufffd 0 false [\ufffd]}",
		`{"text":"\u4e2d\n","number":" 3 ","truth":" 1 "}`:           "{中\n 3 true []}",
		`{"list":["a",[["b"]],{"c":[1]},"d"],"list":["e",null]}`:     `{ 0 false [e]}`,
		`{"unknown":{"text":[{}]},"list":["a",[["b"]],{"c":1},"d"]}`: `{ 0 false [a   d]}`,
	} {
		var r row
		if err := lenient.Unmarshal([]byte(in), &r); err != nil {
			t.Errorf("%s: %v", in, err)
		}
		if got := fmt.Sprint(r); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// A value that is not what it should be hides nothing of what stands beside it, at any depth.
func TestObjectsAndTables(t *testing.T) {
	type name struct {
		Name lenient.Text `json:"name"`
	}
	type named struct {
		Name lenient.Text         `json:"name"`
		Of   lenient.Object[name] `json:"of"`
	}
	for in, want := range map[string]string{
		`[]`:           `[ 0 []`,
		`null`:         `n 0 []`,
		`"x"`:          `" 0 []`,
		`{"name":"a"}`: `{ 0 []`,
		`[1,{},null,{"name":"a","of":7},[{"name":"x"}],{"of":{"name":"b"}},{"name":2,"of":{"name":[]}},"x"]`: `[ 8 [a+ 2+]`,
	} {
		table := lenient.Table[named, string]{Keep: func(r *named) (string, bool) {
			return string(r.Name) + "+" + string(r.Of.Value.Name), r.Name != ""
		}}
		for range 2 { // nothing of the first time is left
			if err := lenient.Unmarshal([]byte(in), &table); err != nil {
				t.Errorf("%s: %v", in, err)
			}
			if got := fmt.Sprintf("%c %d %v", table.Kind, table.Len, table.Rows); got != want {
				t.Errorf("%s: %s, want %s", in, got, want)
			}
		}
		if table.Reset(); table.Kind != 0 || table.Len != 0 || len(table.Rows) != 0 {
			t.Errorf("%s: %+v is left", in, table)
		}
	}
}

func TestBroken(t *testing.T) {
	whole := `{"text":"a","number":"1","truth":true,"list":["x",{"y":1}]}`
	table := `[{"text":"a"},{"text":"b"}]`
	for i := range len(whole) {
		if err := lenient.Unmarshal([]byte(whole[:i]), new(row)); err == nil {
			t.Errorf("%s passes", whole[:i])
		}
	}
	for i := range len(table) {
		into := lenient.Table[row, row]{Keep: func(r *row) (row, bool) { return *r, true }}
		if err := lenient.Unmarshal([]byte(table[:i]), &into); err == nil {
			t.Errorf("%s passes", table[:i])
		}
	}
}

func FuzzForms(f *testing.F) {
	f.Add(`"a"`)
	f.Add(`[1,{}]`)
	f.Fuzz(func(t *testing.T, value string) {
		text := fmt.Sprintf(`{"text":%[1]s,"number":%[1]s,"truth":%[1]s,"list":%[1]s}`, value)
		if !json.Valid([]byte(text)) {
			return
		}
		if err := lenient.Unmarshal([]byte(text), new(row)); err != nil {
			t.Errorf("%s: %v", value, err)
		}
	})
}
