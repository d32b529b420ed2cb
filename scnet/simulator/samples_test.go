package simulator

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
)

// sample is a curl sample of a documentation page, as it stands there, with the host and the token that are to be replaced,
// and what the page says it answers.
type sample struct{ curl, answer string }

// samples reads the pages' samples. In a file of them, the sample and its answer are separated by a line "---".
func samples(t *testing.T) map[string]sample {
	t.Helper()
	files, err := filepath.Glob("testdata/samples/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no samples", err)
	}
	all := map[string]sample{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		curl, answer, ok := strings.Cut(string(text), "\n---\n")
		if !ok {
			t.Fatalf("%s has no answer", file)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".txt")] = sample{curl, answer}
	}
	return all
}

// words splits a command line as a shell does, for what occurs in the samples: single quotes and escaped line ends.
func words(line string) []string {
	var out []string
	line = strings.ReplaceAll(line, "\\\n", " ")
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		var word string
		if strings.HasPrefix(line, "'") {
			word, line, _ = strings.Cut(line[1:], "'")
		} else {
			word, line, _ = strings.Cut(line, " ")
		}
		out = append(out, word)
	}
	return out
}

// request makes the request that a sample's curl would send to the given address with the given token.
func (s sample) request(t *testing.T, address, token string) *http.Request {
	t.Helper()
	var method, url, body string
	header := http.Header{}
	args := words(s.curl)
	if args[0] != "curl" {
		t.Fatalf("not curl: %q", args)
	}
	for args = args[1:]; len(args) > 0; args = args[1:] {
		switch args[0] {
		case "--location":
			continue
		case "--request":
			method = args[1]
		case "--header":
			name, value, _ := strings.Cut(args[1], ": ")
			if name == "token" {
				value = token
			}
			header.Add(name, value)
		case "--data":
			body = args[1]
		default:
			url = args[0]
			continue
		}
		args = args[1:]
	}
	_, rest, ok := strings.Cut(strings.TrimPrefix(url, "https://"), "/")
	if !ok {
		t.Fatalf("no path: %q", url)
	}
	if method == "" && body != "" {
		method = http.MethodPost // as curl does
	}
	r, err := http.NewRequestWithContext(t.Context(), method, address+"/"+rest, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	return r
}

// TestSamples runs the pages' own curl samples against one region of the demo, with one token, and compares the answers with
// those on the pages: the members of each object, and the code.
func TestSamples(t *testing.T) {
	for name, s := range samples(t) {
		t.Run(name, func(t *testing.T) {
			l := open(t, Options{Regions: DemoRegions(fakecloudtest.Noon)})
			res, err := l.http.Do(s.request(t, l.RegionURL(kunshan), l.Token(kunshan)))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			var got, want map[string]any
			if err := json.Unmarshal(body, &got); err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			if err := json.Unmarshal([]byte(s.answer), &want); err != nil {
				t.Fatal(err)
			}
			if got["code"] != "0" || got["msg"] != want["msg"] || shape(got) != shape(want) {
				t.Errorf("got  %s\nwant %s", shape(got), shape(want))
				t.Errorf("%s", body)
			}
		})
	}
}

// shape is what JSON has of members and types. Of an array the first element counts; null fits a string or a list.
func shape(v any) string {
	switch v := v.(type) {
	case map[string]any:
		members := map[string]string{}
		for name, value := range v {
			members[name] = shape(value)
		}
		return fmt.Sprint(members)
	case []any:
		if len(v) == 0 || reflect.TypeOf(v[0]).Kind() != reflect.Map {
			return "-"
		}
		return "[" + shape(v[0]) + "]"
	case nil, string:
		return "-"
	}
	return reflect.TypeOf(v).String()
}
