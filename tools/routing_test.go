package tools_test

import (
	"bufio"
	"cmp"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// TestRouting searches the tools as clients with many of them do, by BM25 over what a tool is called and what is said of it and
// its arguments, and demands that what people ask for brings up the right one first.
func TestRouting(t *testing.T) {
	const enough, share = 40, 0.9
	catalogue := tools.Catalogue()
	search := newSearch(catalogue)
	asked := map[string]int{} // by tool and language
	total, right := map[string]int{}, map[string]int{}
	for _, q := range routingQueries(t) {
		if !slices.ContainsFunc(catalogue, func(tool toolbox.Tool) bool { return tool.Name == q.tool }) {
			continue
		}
		asked[q.tool+q.language()]++
		total[q.language()]++
		if found := search.best(q.text); found[0] == q.tool {
			right[q.language()]++
		} else {
			t.Logf("%q brings up %s and not %s, which is at place %d", q.text, found[0], q.tool, slices.Index(found, q.tool)+1)
		}
	}
	for _, language := range []string{english, chinese} {
		if all, found := total[language], right[language]; all < enough || float64(found) < share*float64(all) {
			t.Errorf("%d of %d %s queries bring up the right tool first; at least %.0f%% of at least %d have to", found, all, language, share*100, enough)
		}
		for _, tool := range catalogue {
			if asked[tool.Name+language] == 0 {
				t.Errorf("%s: %s needs what people would ask for in %s", routingFile, tool.Name, language)
			}
		}
	}
}

const routingFile = "testdata/routing.txt"

type routingQuery struct{ tool, text string }

const english, chinese = "English", "Chinese"

func (q routingQuery) language() string {
	if strings.ContainsFunc(q.text, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
		return chinese
	}
	return english
}

func routingQueries(t *testing.T) (queries []routingQuery) {
	t.Helper()
	file, err := os.Open(routingFile)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		tool, text, ok := strings.Cut(line, ": ")
		if !ok {
			t.Fatalf("%s: not a tool and a query: %q", routingFile, line)
		}
		queries = append(queries, routingQuery{tool, text})
	}
	return queries
}

// search is an index of tools for BM25 with the usual constants.
type search struct {
	names  []string
	counts []map[string]float64 // of each tool's words
	length []float64
	mean   float64
	inMany map[string]float64 // how many tools have a word
}

func newSearch(offered []toolbox.Tool) *search {
	s := &search{inMany: map[string]float64{}}
	for _, tool := range offered {
		counts := map[string]float64{}
		words := searchWords(toldOf(tool))
		for _, word := range words {
			counts[word]++
		}
		for word := range counts {
			s.inMany[word]++
		}
		s.names, s.counts, s.length = append(s.names, tool.Name), append(s.counts, counts), append(s.length, float64(len(words)))
		s.mean += float64(len(words)) / float64(len(offered))
	}
	return s
}

// best returns the names of the tools, the best match for a query first.
func (s *search) best(query string) []string {
	const k, b = 1.5, 0.75
	scores := map[string]float64{}
	for i, name := range s.names {
		for _, word := range searchWords(query) {
			n, in := s.counts[i][word], s.inMany[word]
			idf := math.Log(1 + (float64(len(s.names))-in+0.5)/(in+0.5))
			scores[name] += idf * n * (k + 1) / (n + k*(1-b+b*s.length[i]/s.mean))
		}
	}
	found := slices.Clone(s.names)
	slices.SortStableFunc(found, func(a, b string) int { return cmp.Compare(scores[b], scores[a]) })
	if scores[found[0]] == 0 {
		return append([]string{"nothing"}, found...)
	}
	return found
}

// searchRuns are words, those of a name in snake case apart, and Chinese.
var searchRuns = regexp.MustCompile(`\p{Han}+|[\p{Latin}\p{N}]+`)

// searchWords are the words of a text in lower case. Chinese has no spaces, and is searched by every two characters that follow
// each other.
func searchWords(text string) (words []string) {
	for _, run := range searchRuns.FindAllString(strings.ToLower(text), -1) {
		characters := []rune(run)
		if len(characters) < 3 || !unicode.Is(unicode.Han, characters[0]) {
			words = append(words, run)
			continue
		}
		for i := range len(characters) - 1 {
			words = append(words, string(characters[i:i+2]))
		}
	}
	return words
}
