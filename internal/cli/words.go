package cli

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/schemas"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// Limits of what the operator says to models, in bytes. Every session pays for each of them.
const (
	maxInstructions = 4 << 10
	maxDescription  = 2 << 10
	maxDescriptions = 64 << 10 // of the file
)

// wordsFlags name files with the operator's own words.
type wordsFlags struct {
	InstructionsFile string `group:"words" placeholder:"FILE" type:"path" help:"Add the text in this file to the server's instructions for the model; at most 4 KiB."`
	DescriptionsFile string `group:"words" placeholder:"FILE" type:"path" help:"Describe tools to the model in the words of this file, a JSON object of tools and texts; at most 2 KiB each."`
}

// operatorWords are what the operator says to models.
type operatorWords struct {
	instructions string
	descriptions map[string]string // by tool
	hidden       []string          // files from which something invisible was taken out
}

// read reads the files.
func (f wordsFlags) read() (w operatorWords, err error) {
	if f.InstructionsFile != "" {
		if err := w.readInstructions(f.InstructionsFile); err != nil {
			return operatorWords{}, lang.Errorf("--instructions-file: %w", err)
		}
	}
	if f.DescriptionsFile != "" {
		if err := w.readDescriptions(f.DescriptionsFile); err != nil {
			return operatorWords{}, lang.Errorf("--descriptions-file: %w", err)
		}
	}
	return w, nil
}

func (w *operatorWords) readInstructions(path string) error {
	content, err := readWords(path, maxInstructions)
	if err != nil {
		return err
	}
	if w.instructions = w.clean(path, string(content)); w.instructions == "" {
		return lang.Errorf("%s is empty", text.Line(path, 200))
	}
	return nil
}

// readDescriptions reads a JSON object. The error names everything that is wrong with it.
func (w *operatorWords) readDescriptions(path string) error {
	content, err := readWords(path, maxDescriptions)
	if err != nil {
		return err
	}
	value, repeated, err := schemas.Parse(content)
	if err != nil {
		return lang.Errorf("%s: %w", text.Line(path, 200), err)
	}
	object, ok := value.(map[string]any)
	if !ok || len(object) == 0 {
		return lang.Errorf("%s does not hold a JSON object of tools and texts, such as {%q: \"…\"}",
			text.Line(path, 200), "list_instances")
	}
	var problems []error
	for _, problem := range repeated {
		problems = append(problems, lang.Errorf("%s: %s", text.Line(problem.Path, 100), problem.Text))
	}
	w.descriptions = map[string]string{}
	known := knownNames().Tools
	for _, tool := range slices.Sorted(maps.Keys(object)) {
		description, isText := object[tool].(string)
		cleaned := w.clean(path, description)
		name := text.Line(tool, 60)
		switch {
		case !slices.Contains(known, tool):
			problems = append(problems, lang.Errorf("there is no tool %q; the tools are %s", name, strings.Join(known, ", ")))
		case !isText || cleaned == "":
			problems = append(problems, lang.Errorf("the description of %s is not a text, or is empty", name))
		case len(description) > maxDescription:
			problems = append(problems,
				lang.Errorf("the description of %s has %d bytes; at most %d are allowed", name, len(description), maxDescription))
		}
		w.descriptions[tool] = cleaned
	}
	return errors.Join(problems...)
}

// clean takes out what nobody can see, because a model reads it all the same.
func (w *operatorWords) clean(path, said string) string {
	const stands = "\uFFFD" // for what was taken out
	said = strings.ReplaceAll(said, stands, "")
	cleaned := strings.TrimSpace(text.Lines(said, 3*len(said)+1))
	if strings.Contains(cleaned, stands) && !slices.Contains(w.hidden, path) {
		w.hidden = append(w.hidden, path)
	}
	for strings.Contains(cleaned, stands) { // what is taken out may have held apart what is now together
		said = strings.ReplaceAll(cleaned, stands, "")
		cleaned = strings.TrimSpace(text.Lines(said, 3*len(said)+1))
	}
	return cleaned
}

// readWords reads a file of at most limit bytes.
func readWords(path string, limit int) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, lang.Errorf("%s is not a regular file", text.Line(path, 200))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, int64(limit)+1))
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	switch {
	case err != nil:
		return nil, err
	case len(content) > limit:
		return nil, lang.Errorf("%s is larger than %d bytes; every session of every caller pays for it",
			text.Line(path, 200), limit)
	case !utf8.Valid(content):
		return nil, lang.Errorf("%s is not valid UTF-8", text.Line(path, 200))
	}
	return content, nil
}

// describe returns offered with the operator's descriptions.
func (w operatorWords) describe(offered []toolbox.Tool) []toolbox.Tool {
	for i, t := range offered {
		if own := w.descriptions[t.Name]; own != "" {
			offered[i].Description = own
		}
	}
	return offered
}

// words tells how much the operator's words cost, and what is odd about them.
func (e *examination) words(service services) {
	w := service.words
	const check = "words"
	for _, file := range w.hidden {
		e.note(check, lang.T("Look at the file with an editor that shows such characters."),
			"invisible or control characters were taken out of %s", text.Line(file, 200))
	}
	if w.instructions != "" {
		e.ok(check, "the operator's instructions have %d bytes", len(w.instructions))
	}
	if len(w.descriptions) == 0 {
		return
	}
	ours, theirs := 0, 0
	for _, t := range tools.Catalogue() {
		if own := w.descriptions[t.Name]; own != "" {
			ours, theirs = ours+len(t.Description), theirs+len(own)
		}
	}
	e.ok(check, "the operator describes %d tools, in %d bytes instead of %d", len(w.descriptions), theirs, ours)
}
