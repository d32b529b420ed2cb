package schemas

import (
	"encoding/json"
	"reflect"
	"testing"
)

// flat is a typical tool: ten fields and nothing nested.
type flat struct {
	A string   `json:"a" jsonschema:"minLength=1,maxLength=64" jsonschema_description:"A description of usual length."`
	B string   `json:"b,omitempty" jsonschema:"enum=x,enum=y,enum=z" jsonschema_description:"A description of usual length."`
	C string   `json:"c,omitempty" jsonschema_description:"A description of usual length."`
	D int      `json:"d,omitempty" jsonschema:"minimum=1,maximum=200,default=50" jsonschema_description:"A description of usual length."`
	E int      `json:"e,omitempty" jsonschema_description:"A description of usual length."`
	F bool     `json:"f,omitempty" jsonschema_description:"A description of usual length."`
	G bool     `json:"g,omitempty" jsonschema_description:"A description of usual length."`
	H float64  `json:"h,omitempty" jsonschema_description:"A description of usual length."`
	I []string `json:"i,omitempty" jsonschema:"maxItems=20" jsonschema_description:"A description of usual length."`
	J string   `json:"j,omitempty" jsonschema_description:"A description of usual length."`
}

// For makes a schema once only, so the benchmarks measure what it does then.
func benchmark[T any](b *testing.B) {
	for b.Loop() {
		if _, err := reflectType(reflect.TypeFor[T](), nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkForFlat(b *testing.B) { benchmark[flat](b) }
func BenchmarkFor(b *testing.B)     { benchmark[sample](b) }

func BenchmarkCompile(b *testing.B) {
	text := sampleSchema.JSON()
	for b.Loop() {
		if _, err := compileText(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, arguments := range map[string]string{
		"empty":   `{"name":"a"}`,
		"plain":   `{"name":"a","limit":5,"force":true,"instance_ids":["aa","bb"]}`,
		"coerced": `{"name":"a","limit":"5","force":"true","instance_ids":"aa","region":null}`,
		"wrong":   `{"name":"a","limit":500,"stat":"x"}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = sampleSchema.Decode(json.RawMessage(arguments), new(sample))
			}
		})
	}
}
