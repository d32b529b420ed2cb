package guard_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

func TestPattern(t *testing.T) {
	target := guard.Target{ID: "530491fa7c8e47348f01de73e627a6a7", Name: "Prod/train-7B[1]", Region: "11250", RegionName: "华东一区【昆山】"}
	for text, want := range map[string]bool{
		"530491fa7c8e47348f01de73e627a6a7":    true,
		"530491FA7C8E47348F01DE73E627A6A7":    true,
		"id:530491fa7c8e47348f01de73e627a6a7": true,
		"id:5304*":                            true,
		"id:prod*":                            false,
		"prod*":                               true,
		"PROD*":                               true,
		"*train*":                             true,
		"train*":                              false,
		"name:prod/train*":                    true,
		"name:prod?train*":                    true,
		"name:5304*":                          false,
		"region:11250":                        true,
		"region:*昆山*":                         true,
		"region:20057":                        false,
		"*":                                   true,
		"name:*[1]":                           true, // only * and ? are special
		"[a-p]rod*":                           false,
		`prod\*`:                              false,
		" NAME : prod* ":                      true,
		"\u200bname\ufeff:\u00a0prod*":        true,
		"*7?[?]*":                             true,
		"?":                                   false,
	} {
		p := pattern(t, text)
		if p.Covers(target) != want || p.Admits(target) != want {
			t.Errorf("%q covers: %v, admits: %v", text, p.Covers(target), p.Admits(target))
		}
	}
}

func TestPatternMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "is empty",
		"  \u200b":               "is empty",
		"id:":                    "is empty",
		"name: ":                 "is empty",
		"colour:red":             `"colour" is not id, name or region`,
		"name:a;name:b":          `holds ';'`,
		"prod-* test-*":          "holds ' '",
		"prod-*\ntest-*":         `holds '\n'`,
		"prod-*,test-*":          "holds ','",
		"prod-*，test-*":          "holds '，'",
		"prod-*、test-*":          "holds '、'",
		"name：prod-*":            "full-width '：'",
		"name:prod-＊":            "full-width '＊'",
		"name:\ufffd":            "invisible characters only",
		strings.Repeat("x", 257): "more than 256 characters",
	} {
		if _, err := guard.ParsePattern(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// What a protection must cover although the name is written in another way, and an allowance must not admit for that reason.
func TestNamesInDisguise(t *testing.T) {
	for name, c := range map[string]struct{ pattern, name string }{
		"emoji without its selector":  {"name:❤-*", "❤\ufe0f-train"},
		"selector in the pattern":     {"name:❤\ufe0f-*", "❤-train"},
		"joiner":                      {"prod-*", "pr\u200dod-1"},
		"soft hyphen":                 {"prod-*", "pr\u00adod-1"},
		"begins invisibly":            {"prod-*", "\u200bprod-1"},
		"begins with a blank":         {"prod-*", " prod-1"},
		"decomposed":                  {"caf\u00e9-*", "cafe\u0301-1"},
		"composed":                    {"cafe\u0301-*", "caf\u00e9-1"},
		"one character of two":        {"caf?-*", "cafe\u0301-1"},
		"two characters of one":       {"cafe?-*", "caf\u00e9-1"},
		"Hangul decomposed":           {"한국-*", norm.NFD.String("한국-1")},
		"full width":                  {"prod-*", "ｐｒｏｄ－1"},
		"tags":                        {"prod-*", "prod\U000e0041-1"},
		"invalid UTF-8":               {"prod-*", "pr\xffod-1"},
		"as it is shown, in disguise": {"pr\ufffdod-*", "pr\u200bod-1"},
		"terminal escape":             {"prod-*", "pr\x1bod-1"},
		"without a name":              {"name:prod-*", ""},
		"with nothing visible":        {"name:prod-*", "\u200b\u00a0"},
		"without a name, no prefix":   {"prod-*", ""},
	} {
		p, target := pattern(t, c.pattern), guard.Target{ID: "x", Name: c.name}
		if !p.Covers(target) || p.Admits(target) {
			t.Errorf("%s: %q covers %q: %v, admits it: %v", name, c.pattern, c.name, p.Covers(target), p.Admits(target))
		}
	}
	for _, same := range [][2]string{
		{"ci-*", "CI-1"}, {"ΣΑΣ", "σας"}, {"straße", "STRAẞE"}, {"训练*", "训练 一号"}, {"❤\ufe0f*", "❤\ufe0f-1"}, {"caf\u00e9", "CAF\u00c9"},
	} {
		if target := (guard.Target{ID: "x", Name: same[1]}); !pattern(t, same[0]).Admits(target) {
			t.Errorf("%q does not admit %q", same[0], same[1])
		}
	}
	// Case is about single letters.
	if target := (guard.Target{ID: "x", Name: "strasse"}); pattern(t, "straße").Covers(target) {
		t.Error("ß is ss")
	}
}

// What the service does not say is protected, and not allowed.
func TestUnknownTargets(t *testing.T) {
	for text, c := range map[string]struct {
		target guard.Target
		covers bool
	}{
		"id:a":        {guard.Target{}, true},
		"name:a":      {guard.Target{}, true},
		"region:a":    {guard.Target{}, true},
		"a":           {guard.Target{}, true},
		"*":           {guard.Target{}, true},
		"id:b":        {guard.Target{ID: "x"}, false},
		"region:7":    {guard.Target{ID: "x", Region: "11250"}, false},
		"region:昆山":   {guard.Target{ID: "x", Region: "11250"}, true}, // a region token does not tell the region's name
		"region:昆山*":  {guard.Target{ID: "x", Region: "11250", RegionName: "华北"}, false},
		"region:1125": {guard.Target{ID: "x", RegionName: "华北"}, true},
	} {
		if p := pattern(t, text); p.Covers(c.target) != c.covers || p.Admits(c.target) {
			t.Errorf("%s, %+v: covers %v, admits %v", text, c.target, p.Covers(c.target), p.Admits(c.target))
		}
	}
	if target := (guard.Target{ID: "x"}); !pattern(t, "*").Admits(target) {
		t.Error("* does not admit an id")
	}
}

// Letters that differ in case only are one letter.
func TestCase(t *testing.T) {
	for r := rune(1); r <= unicode.MaxRune; r++ {
		other := unicode.SimpleFold(r)
		if other == r || r == '*' || r == '?' {
			continue
		}
		if target := (guard.Target{ID: "x", Name: "a" + string(other)}); !pattern(t, "name:a"+string(r)).Covers(target) {
			t.Errorf("%U does not cover %U", r, other)
		}
	}
}

// disguise writes a name in another way: invisible characters anywhere, another normal form, another case.
func disguise(random *rand.Rand, name string) string {
	forms := []norm.Form{norm.NFC, norm.NFD, norm.NFKC, norm.NFKD}
	if random.IntN(2) == 0 {
		name = strings.ToUpper(name)
	}
	name = forms[random.IntN(len(forms))].String(name)
	hidden := []string{"\u200b", "\u00ad", "\ufe0f", "\u200d", "\U000e0067", "\U000e01f0", "\u17b4", "\u2065", "\x00", "\ufdd0", "\xff"}
	var b strings.Builder
	for _, r := range name {
		if random.IntN(3) == 0 {
			b.WriteString(hidden[random.IntN(len(hidden))])
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Whatever form a protected name takes, there is no policy under which it may be changed.
func TestProtectionProperty(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	letters := []rune("aZ09-_./[]\\éÉüñçåΣσж训练한국がパ❤①ﬁ")
	for range 5_000 {
		name := make([]rune, 1+random.IntN(8))
		for i := range name {
			name[i] = letters[random.IntN(len(letters))]
		}
		glob := ""
		for _, r := range name {
			switch random.IntN(8) {
			case 0:
				glob += "*"
			case 1:
				glob += "?"
			default:
				glob += string(r)
			}
		}
		policy := randomPolicy(t, random)
		policy.Protect = append(policy.Protect, pattern(t, []string{"name:", " Name : ", ""}[random.IntN(3)]+glob))
		if random.IntN(2) == 0 {
			policy = randomPolicy(t, random).Narrow(policy)
		}
		target := guard.Target{ID: "x", Name: disguise(random, string(name))}
		if strings.Contains(glob, "?") && slices.Contains(name, 'ﬁ') {
			continue // it is two characters when compared
		}
		if policy.Permits([]guard.Target{target}) == nil || policy.PermitsEach([]guard.Target{{ID: "y", Name: "other"}, target}) == nil {
			t.Fatalf("%q is protected by %q and may be changed as %q", string(name), glob, target.Name)
		}
	}
}

// slow matches in the plainest way.
func slow(glob, s []rune) bool {
	switch {
	case len(glob) == 0:
		return len(s) == 0
	case glob[0] == '*':
		return slow(glob[1:], s) || len(s) > 0 && slow(glob, s[1:])
	}
	return len(s) > 0 && (glob[0] == '?' || glob[0] == s[0]) && slow(glob[1:], s[1:])
}

func FuzzPattern(f *testing.F) {
	f.Add("name:prod-*", "prod-1")
	f.Add("[a-", "x")
	f.Add("a*?b*", "aab")
	f.Add("caf\u00e9*", "cafe\u0301")
	f.Fuzz(func(t *testing.T, text, name string) {
		p, err := guard.ParsePattern(text)
		if err != nil {
			return
		}
		target := guard.Target{ID: name, Name: name, Region: name, RegionName: name}
		if p.Admits(target) && !p.Covers(target) {
			t.Errorf("%q admits %q and does not cover it", text, name)
		}
		if !pattern(t, "*").Covers(target) {
			t.Errorf("* does not cover %q", name)
		}
		plain := func(s string) bool {
			return len(s) < 12 && !strings.ContainsFunc(s, func(r rune) bool { return r < '!' || r > '~' })
		}
		if plain(text) && plain(name) && name != "" && !strings.Contains(text, ":") {
			want := slow([]rune(strings.ToLower(text)), []rune(strings.ToLower(name)))
			if p.Covers(target) != want || p.Admits(target) != want {
				t.Errorf("%q and %q: covers %v, admits %v, want %v", text, name, p.Covers(target), p.Admits(target), want)
			}
		}
	})
}
