package schemas

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/scnet-mcp/scnet-mcp/internal/golden"
)

// sample uses everything that a tool may declare.
type sample struct {
	Region   string     `json:"region,omitempty" jsonschema:"enum=east,enum=west" jsonschema_description:"Region, such as east."`
	Name     string     `json:"name" jsonschema:"minLength=1,maxLength=64,pattern=^[a-z]{1\\,64}$" jsonschema_description:"Name of the instance. It must be new, short, and lower case."`
	Limit    int        `json:"limit,omitempty" jsonschema:"minimum=1,maximum=200,default=50" jsonschema_description:"How many to return."`
	Price    *float64   `json:"price,omitempty" jsonschema:"minimum=0.5" jsonschema_description:"Price in yuan."`
	Force    bool       `json:"force,omitempty" jsonschema:"default=false" jsonschema_description:"Skip the check."`
	IDs      []string   `json:"instance_ids,omitempty" jsonschema:"minItems=1,maxItems=3,minLength=2" jsonschema_description:"Instances."`
	Ports    []int      `json:"ports,omitempty" jsonschema:"maximum=65535" jsonschema_description:"Ports."`
	Filter   *filter    `json:"filter,omitempty" jsonschema_description:"Filter."`
	Rules    []filter   `json:"rules,omitempty" jsonschema_description:"Rules."`
	Since    *time.Time `json:"since,omitempty" jsonschema_description:"Not before."`
	Small    int8       `json:"small,omitempty" jsonschema_description:"A small number."`
	embedded `json:""`
}

type filter struct {
	Status string `json:"status" jsonschema_description:"Status."`
	Count  int    `json:"count,omitempty" jsonschema_description:"Count."`
}

type embedded struct {
	Cursor string `json:"cursor,omitempty" jsonschema_description:"Cursor."`
}

type empty struct{}

func TestGolden(t *testing.T) {
	for name, schema := range map[string]*Schema{"sample": MustFor[sample](), "empty": MustFor[empty](), "without": MustFor[sample](Without("name"))} {
		if findings := Lint(schema.JSON()); findings != nil {
			t.Errorf("%s: %q", name, findings)
		}
		var got bytes.Buffer
		if err := json.Indent(&got, schema.JSON(), "", "  "); err != nil {
			t.Fatal(err)
		}
		got.WriteByte('\n')
		golden.Check(t, "testdata/"+name+".json", got.String())
	}
}

func TestJSONIsACopyAndStable(t *testing.T) {
	schema := MustFor[sample]()
	first := schema.JSON()
	first[0] = 'x'
	if !bytes.Equal(schema.JSON(), MustFor[sample]().JSON()) {
		t.Error("the schema's text changed")
	}
}

func TestProperties(t *testing.T) {
	want := []string{"region", "name", "limit", "price", "force", "instance_ids", "ports", "filter", "rules", "since", "small", "cursor"}
	if got := MustFor[sample]().Properties(); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if got := MustFor[sample](Without("region")).Properties(); !slices.Equal(got, want[1:]) {
		t.Errorf("got %v", got)
	}
}

func TestWithoutUnknown(t *testing.T) {
	if _, err := For[sample](Without("nothing")); err == nil {
		t.Error("no error")
	}
}

func TestMustForPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	MustFor[map[string]string]()
}

type recursive struct {
	Children []recursive `json:"children,omitempty" jsonschema_description:"Children."`
}

type mutual struct {
	Other *otherMutual `json:"other,omitempty" jsonschema_description:"Other."`
}

type otherMutual struct {
	Back []mutual `json:"back,omitempty" jsonschema_description:"Back."`
}

type recursiveEmbedded struct{ *recursiveEmbedded }

type alias struct{}

func (alias) JSONSchemaAlias() any { return recursive{} }

type boolean struct{}

func (boolean) JSONSchema() *jsonschema.Schema { return &jsonschema.Schema{} }

type status string

func (status) JSONSchemaExtend(schema *jsonschema.Schema) { schema.Enum = []any{"up", "down"} }

type timeEmbedded struct{ time.Time }

func failure[T any]() string {
	if _, err := For[T](); err != nil {
		return err.Error()
	}
	return ""
}

func TestForRefuses(t *testing.T) {
	tests := []struct{ got, want string }{
		{failure[map[string]string](), "the root must be a struct"},
		{failure[[]string](), "the root must be a struct"},
		{failure[time.Time](), "the root must be a struct"},
		{failure[*sample](), "the root must be a struct"},
		{failure[recursive](), "contains itself"},
		{failure[mutual](), "contains itself"},
		{failure[recursiveEmbedded](), "only structs can be embedded"},
		{failure[timeEmbedded](), "JSON form of its own"},
		{failure[alias](), "a JSON form of its own"},
		{failure[struct {
			A alias `json:"a" jsonschema_description:"A."`
		}](), "JSON form of its own"},
		{failure[struct {
			A string `json:"a"`
		}](), "a: no description"},
		{failure[struct {
			A []filterBare `json:"a" jsonschema_description:"A."`
		}](), "a: b: no description"},
		{failure[struct {
			A string `jsonschema_description:"A."`
		}](), "not snake_case"},
		{failure[struct {
			A string `json:"instanceId" jsonschema_description:"A."`
		}](), "not snake_case"},
		{failure[struct {
			A any `json:"a" jsonschema_description:"A."`
		}](), "an interface cannot"},
		{failure[struct {
			A []any `json:"a" jsonschema_description:"A."`
		}](), "an interface cannot"},
		{failure[struct {
			A map[string]any `json:"a" jsonschema_description:"A."`
		}](), "a map cannot"},
		{failure[struct {
			A boolean `json:"a" jsonschema_description:"A."`
		}](), "JSON form of its own"},
		{failure[struct {
			A []boolean `json:"a" jsonschema_description:"A."`
		}](), "JSON form of its own"},
		{failure[struct {
			A json.RawMessage `json:"a" jsonschema_description:"A."`
		}](), "JSON form of its own"},
		{failure[struct {
			A json.Number `json:"a" jsonschema_description:"A."`
		}](), "JSON form of its own"},
		{failure[struct {
			A []byte `json:"a" jsonschema_description:"A."`
		}](), "base64"},
		{failure[struct {
			A time.Duration `json:"a" jsonschema_description:"A."`
		}](), "nanoseconds"},
		{failure[struct {
			A chan int `json:"a" jsonschema_description:"A."`
		}](), "chan cannot be expressed"},
		{failure[struct {
			A uint `json:"a" jsonschema_description:"A."`
		}](), "unsigned"},
		{failure[struct {
			A []uint32 `json:"a" jsonschema_description:"A."`
		}](), "unsigned"},
		{failure[struct {
			A *int `json:"a" jsonschema_description:"A."`
		}](), "null"},
		{failure[struct {
			A []*filter `json:"a" jsonschema_description:"A."`
		}](), "null"},
		{failure[struct {
			A int `json:"a,string" jsonschema_description:"A."`
		}](), "json options"},
		{failure[struct {
			embedded
			Cursor string `json:"cursor" jsonschema_description:"C."`
		}](), "declared twice"},
		{failure[struct {
			A string `json:"a" jsonschema:"description=one, two"`
		}](), "not supported on this type"},
		{failure[struct {
			A string `json:"a" jsonschema:"nullable" jsonschema_description:"A."`
		}](), "not supported"},
		{failure[struct {
			A string `json:"a" jsonschema:"oneof_required=x" jsonschema_description:"A."`
		}](), "not supported"},
		{failure[struct {
			A int `json:"a" jsonschema:"minimun=1" jsonschema_description:"A."`
		}](), "not supported"},
		{failure[struct {
			A int `json:"a" jsonschema:"minimum=one" jsonschema_description:"A."`
		}](), "no usable value"},
		{failure[struct {
			A int `json:"a" jsonschema:"enum=1" jsonschema_description:"A."`
		}](), "not supported"},
		{failure[struct {
			A int `json:"a" jsonschema:"exclusiveMinimum=1" jsonschema_description:"A."`
		}](), "not supported"},
		{failure[struct {
			A []int `json:"a" jsonschema:"default=1" jsonschema_description:"A."`
		}](), "not supported"},
		{failure[struct {
			A string `json:"a" jsonschema:"pattern=^a{1,3}$" jsonschema_description:"A."`
		}](), "not supported"},
		{failure[struct {
			A string `json:"a" jsonschema:"pattern=(" jsonschema_description:"A."`
		}](), "a: pattern"},
		{failure[struct {
			A []string `json:"a" jsonschema:"pattern=a=b" jsonschema_description:"A."`
		}](), "no usable value"},
	}
	for i, test := range tests {
		if !strings.Contains(test.got, test.want) || test.got == "" {
			t.Errorf("%d: got %q, want %q in it", i, test.got, test.want)
		}
	}
}

type filterBare struct {
	B string `json:"b"`
}

func TestForAllows(t *testing.T) {
	type allowed struct {
		Status status   `json:"status" jsonschema_description:"A type that adds its enum."`
		Size   uint64   `json:"size" jsonschema:"minimum=0" jsonschema_description:"Size, in bytes."`
		Pair   [2]int   `json:"pair" jsonschema_description:"Exactly two, a < b & c."`
		Tags   []string `json:"tags" jsonschema:"default=a,default=b" jsonschema_description:"Tags."`
		Hidden string   `json:"-"`
		inner  string
	}
	schema, err := For[allowed]()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"enum":["up","down"]`, `"description":"Size, in bytes."`, `"maxItems":2,"minItems":2`, `a < b & c`} {
		if !strings.Contains(string(schema.JSON()), want) {
			t.Errorf("no %s in %s", want, schema.JSON())
		}
	}
	_ = allowed{inner: ""}
}

func TestValidate(t *testing.T) {
	type out struct {
		Names []string `json:"names" jsonschema_description:"Names."`
		Total int      `json:"total" jsonschema:"minimum=0" jsonschema_description:"Total."`
	}
	schema := MustFor[out]()
	tests := []struct {
		value any
		want  string
	}{
		{out{Names: []string{}}, ""},
		{json.RawMessage(`{"names":["a"],"total":1}`), ""},
		{out{Total: -1}, "the result does not match its schema:\n- names: expected a list, each text, got null\n- total: expected a whole number of at least 0, got -1"},
		{json.RawMessage(`{"names":[],"total":1,"x":1}`), "the result does not match its schema:\n- x: unknown field"},
		{json.RawMessage(`{"names":[],"total":"1"}`), "the result does not match its schema:\n- total: expected a whole number of at least 0, got \"1\""},
		{json.RawMessage(`[1]`), "the result does not match its schema:\n- expected an object with names, total, got a list of 1 item"},
		{json.RawMessage(`{`), "the result cannot be read: the text is not valid JSON from byte 1 of 1 on"},
		{func() {}, "the result cannot be written as JSON: json: unsupported type: func()"},
	}
	for _, test := range tests {
		got := ""
		if err := schema.Validate(test.value); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%v:\ngot  %q\nwant %q", reflect.TypeOf(test.value), got, test.want)
		}
	}
}
