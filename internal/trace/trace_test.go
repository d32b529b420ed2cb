package trace_test

import (
	"context"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/trace"
)

const valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestParse(t *testing.T) {
	for text, want := range map[string]trace.Parent{
		valid:                         valid,
		"cc" + valid[2:]:              valid,
		"cc" + valid[2:] + "-what-is": valid,
		"":                            "",
		valid + "-more":               "", // version 00 has no more members
		"cc" + valid[2:] + ".more":    "",
		"ff" + valid[2:]:              "",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01": "",
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01": "",
		"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01": "",
		valid[:54]:         "",
		valid + "\n":       "",
		" " + valid:        "",
		"x\r\ny: " + valid: "",
	} {
		if got, ok := trace.Parse(text); got != want || ok != (want != "") {
			t.Errorf("Parse(%q) = %q, %v", text, got, ok)
		}
	}
}

func TestContext(t *testing.T) {
	if got := trace.From(context.Background()); got != "" || got.ID() != "" {
		t.Errorf("%q", got)
	}
	ctx := trace.With(context.Background(), valid)
	if got := trace.From(ctx); got != valid || got.ID() != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("%q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(valid)
	f.Add("cc" + valid[2:] + "-x")
	f.Fuzz(func(t *testing.T, text string) {
		parent, ok := trace.Parse(text)
		if !ok {
			return
		}
		if again, ok := trace.Parse(string(parent)); !ok || again != parent || len(parent.ID()) != 32 {
			t.Errorf("%q gives %q gives %q", text, parent, again)
		}
	})
}
