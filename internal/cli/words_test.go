package cli

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// The operator's words reach the model, without what nobody can see, and the doctor says what they cost.
func TestOperatorWords(t *testing.T) {
	folder := t.TempDir()
	instructions, descriptions := filepath.Join(folder, "instructions.txt"), filepath.Join(folder, "descriptions.json")
	writeFile(t, instructions, "\ufeffAsk the owner\x1b[31m first.\r\n\tThe owner of ci-* is \u202ethe CI team.\n")
	writeFile(t, descriptions, `{"list_instances": "Lists what the vision team has.\u200b"}`)
	flags := []string{"--demo", "--instructions-file=" + instructions, "--descriptions-file=" + descriptions}
	s := serveHere(t, nil, append(flags, "--transport=http")...)
	said := s.rpc("", "initialize", `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}`).Instructions
	contains(t, "instructions", said, "The operator of this server adds:\nAsk the owner[31m first.\n    The owner of ci-* is the CI team.")
	code, out, errs := run(t, nil, "", append([]string{"tools", "--json"}, flags...)...)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	contains(t, "tools", out, `"description":"Lists what the vision team has."`)
	for what, text := range map[string]string{"instructions": said, "tools": out} {
		if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }); i >= 0 {
			t.Errorf("%s: %q", what, text[i:])
		}
	}
	_, out, _ = run(t, nil, "", append([]string{"doctor"}, flags...)...)
	contains(t, "doctor", out, "characters were taken out of "+instructions, "taken out of "+descriptions, "the operator describes 1 tools, in 31 bytes",
		"the operator's instructions have")
}

func TestWrongOperatorWords(t *testing.T) {
	folder := t.TempDir()
	for name, c := range map[string]struct{ flag, content, want string }{
		"no words":       {"instructions", " \u200b\n", "is empty"},
		"too many":       {"instructions", strings.Repeat("x", maxInstructions+1), "larger than 4096 bytes"},
		"not UTF-8":      {"instructions", "a\xff", "not valid UTF-8"},
		"not JSON":       {"descriptions", "list_instances: x", "not valid JSON"},
		"a list":         {"descriptions", `["x"]`, "does not hold a JSON object"},
		"nothing":        {"descriptions", `{}`, "does not hold a JSON object"},
		"no such tool":   {"descriptions", `{"list_instance":"x"}`, `there is no tool "list_instance"; the tools are list_instances`},
		"a number":       {"descriptions", `{"list_instances":1}`, "the description of list_instances is not a text"},
		"an empty one":   {"descriptions", `{"list_instances":"\u200b"}`, "or is empty"},
		"a long one":     {"descriptions", `{"list_instances":"` + strings.Repeat("x", maxDescription+1) + `"}`, "at most 2048 are allowed"},
		"twice":          {"descriptions", `{"list_instances":"a","list_instances":"b"}`, "list_instances"},
		"everything":     {"descriptions", `{"x":"a","list_instances":1}`, `no tool "x"`},
		"everything too": {"descriptions", `{"x":"a","list_instances":1}`, "is not a text"},
	} {
		file := filepath.Join(folder, "words")
		writeFile(t, file, c.content)
		code, _, errs := run(t, nil, "", "tools", "--demo", "--"+c.flag+"-file="+file)
		if code != exitError || !strings.Contains(errs, "--"+c.flag+"-file: ") || !strings.Contains(errs, c.want) {
			t.Errorf("%s: exit %d, %s", name, code, errs)
		}
	}
	code, _, errs := run(t, nil, "", "tools", "--demo", "--instructions-file="+folder)
	if code != exitError || !strings.Contains(errs, "not a regular file") {
		t.Errorf("a folder: exit %d, %s", code, errs)
	}
}

func FuzzOperatorWords(f *testing.F) {
	f.Add("Ask \u202efirst.\n\t- x\x1b[0m")
	f.Fuzz(func(t *testing.T, said string) {
		var w operatorWords
		cleaned := w.clean("file", said)
		if strings.ContainsFunc(cleaned, func(r rune) bool { return r != '\n' && unicode.IsControl(r) || r == '\uFFFD' }) {
			t.Errorf("%q", cleaned)
		}
		if again := w.clean("file", cleaned); again != cleaned {
			t.Errorf("%q becomes %q", cleaned, again)
		}
	})
}
