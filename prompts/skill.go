package prompts

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// The skills are files as agents read them (https://agentskills.io/specification), and the only place of their texts. Tools
// are named there in backquotes, and nothing else that looks like the name of one is.
//
//go:embed skills
var skillFiles embed.FS

// Skill is a text that tells an agent how to do a task with the tools.
type Skill struct {
	URI         string
	Name        string
	Title       string
	Description string
	Text        string // what follows the front matter
	Content     string // the whole file

	tools []string // that the text names
}

// Digest returns the SHA-256 of the content, as the Skills extension writes it.
func (s Skill) Digest() string {
	sum := sha256.Sum256([]byte(s.Content))
	return "sha256:" + hex.EncodeToString(sum[:])
}

const (
	skillURI  = "skill://scnet-mcp/" // the name and skillFile follow
	skillFile = "/SKILL.md"
)

// toolName is compiled when it is first needed: many processes never ask for a skill.
var toolName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("`([a-z]+(?:_[a-z]+)+)`") })

// readSkill reads a SKILL.md. Its front matter is YAML of two plain values, each on a line of its own.
func readSkill(content string) (Skill, error) {
	matter, body, found := strings.Cut(strings.TrimPrefix(content, "---\n"), "\n---\n")
	if !found || !strings.HasPrefix(content, "---\n") {
		return Skill{}, fmt.Errorf("there is no front matter between two lines of ---")
	}
	name, description, found := strings.Cut(matter, "\n")
	s := Skill{Content: content, Text: strings.TrimSpace(body)}
	var named, described bool
	s.Name, named = strings.CutPrefix(name, "name: ")
	s.Description, described = strings.CutPrefix(description, "description: ")
	if !found || !named || !described || strings.Contains(s.Description, "\n") {
		return Skill{}, fmt.Errorf("the front matter is not a name and a description")
	}
	heading, _, _ := strings.Cut(s.Text, "\n")
	s.Title = strings.TrimPrefix(heading, "# ")
	s.URI = skillURI + s.Name + skillFile
	for _, match := range toolName().FindAllStringSubmatch(s.Text, -1) {
		if !slices.Contains(s.tools, match[1]) {
			s.tools = append(s.tools, match[1])
		}
	}
	return s, nil
}

// allSkills returns the skills of each language.
var allSkills = sync.OnceValue(func() map[Language][]Skill {
	skills := map[Language][]Skill{}
	for _, language := range []Language{English, Chinese} {
		files, err := fs.Glob(skillFiles, path.Join("skills", string(language), "*", "SKILL.md"))
		if err != nil {
			panic(err)
		}
		for _, file := range files {
			content, err := skillFiles.ReadFile(file)
			if err != nil {
				panic(err)
			}
			skill, err := readSkill(string(content))
			if err != nil {
				panic(fmt.Errorf("%s: %w", file, err)) // a test finds it
			}
			skills[language] = append(skills[language], skill)
		}
	}
	return skills
})

// Skills returns the skills that name only tools which the caller is offered.
func (l *Library) Skills(c Caller) []Skill {
	language := English
	if l.Language == Chinese {
		language = Chinese
	}
	return slices.DeleteFunc(slices.Clone(allSkills()[language]), func(s Skill) bool { return !c.offered(s.tools...) })
}

// Skill returns the skill with a URI.
func (l *Library) Skill(c Caller, uri string) (Skill, error) {
	skills := l.Skills(c)
	i := slices.IndexFunc(skills, func(s Skill) bool { return s.URI == uri })
	if i < 0 {
		var valid []string
		for _, s := range skills {
			valid = append(valid, s.URI)
		}
		return Skill{}, unknown("skill", uri, valid)
	}
	return skills[i], nil
}
