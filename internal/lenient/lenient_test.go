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
	} {
		var r row
		if err := json.Unmarshal([]byte(in), &r); err != nil {
			t.Errorf("%s: %v", in, err)
		}
		if got := fmt.Sprint(r); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
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
		if err := json.Unmarshal([]byte(text), new(row)); err != nil {
			t.Errorf("%s: %v", value, err)
		}
	})
}
