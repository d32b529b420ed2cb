package prompts_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/prompts"
)

const longestText = 2048 // bytes of a text that a model gets

// The files are as the specification of Agent Skills wants them, and say the same in both languages.
func TestSkillFiles(t *testing.T) {
	quoted := regexp.MustCompile("`[^`]+`")
	inEnglish := map[string][]string{}
	for _, language := range []prompts.Language{prompts.English, prompts.Chinese} {
		skills := (&prompts.Library{Language: language}).Skills(caller(catalogue(false)))
		folders, err := os.ReadDir(filepath.Join("skills", string(language)))
		if err != nil || len(folders) != len(skills) || len(skills) == 0 {
			t.Fatalf("%d folders, %d skills, %v", len(folders), len(skills), err)
		}
		for i, s := range skills {
			if folders[i].Name() != s.Name || !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(s.Name) || len(s.Name) > 64 {
				t.Errorf("%s is in the folder %s", s.Name, folders[i].Name())
			}
			if n := len([]rune(s.Description)); n == 0 || n > 1024 {
				t.Errorf("%s: the description has %d characters", s.Name, n)
			}
			// What YAML would read as anything but this text.
			if strings.Contains(s.Description, ": ") || strings.Contains(s.Description, " #") || strings.TrimSpace(s.Description) != s.Description ||
				strings.IndexAny(s.Description, "-?:,[]{}#&*!|>'\"%@`") == 0 {
				t.Errorf("%s: the description is not a plain value", s.Name)
			}
			if len(s.Text) > longestText {
				t.Errorf("%s: the text has %d bytes, more than %d", s.Name, len(s.Text), longestText)
			}
			if s.Title == "" || !strings.HasPrefix(s.Text, "# "+s.Title+"\n") {
				t.Errorf("%s: there is no title", s.Name)
			}
			names := quoted.FindAllString(s.Text, -1)
			if language == prompts.English {
				inEnglish[s.Name] = names
			} else if !slices.Equal(names, inEnglish[s.Name]) {
				t.Errorf("%s names %q, in English %q", s.Name, names, inEnglish[s.Name])
			}
		}
	}
}

func TestSkillDigest(t *testing.T) {
	s := prompts.Skill{Content: "abc"}
	if want := "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; s.Digest() != want {
		t.Errorf("%s, want %s", s.Digest(), want)
	}
}
