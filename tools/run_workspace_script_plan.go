package tools

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

// execution is the batch as the service takes it.
func (in RunWorkspaceScriptInput) execution(scripts []string) workspace.Execution {
	return workspace.Execution{
		Desktops: in.DesktopIDs, Scripts: scripts, GrayCount: in.GrayCount, GrayDesktops: in.GrayResourceIDs,
		GrayFailThreshold: in.GrayFailThreshold, TimeoutMinutes: in.ExecutionTimeout,
	}
}

// check looks at everything that needs no look-up.
func (in RunWorkspaceScriptInput) check(scripts []string) error {
	if ids := len(in.GrayResourceIDs); ids > 0 && in.GrayCount != nil && *in.GrayCount != ids {
		return lang.Errorf("gray_count is %d, but gray_resource_ids names %d; give one of them. Nothing was sent", *in.GrayCount, ids)
	}
	check := workspace.Execution.CheckNamed
	if !slices.ContainsFunc(slices.Concat(in.DesktopIDs, in.GrayResourceIDs), isName) {
		check = workspace.Execution.Check
	}
	if err := renamed(check(in.execution(scripts))); err != nil {
		return err
	}
	if in.Script == "" {
		return nil
	}
	kind := workspace.ScriptType(in.ScriptType)
	if kind == "" {
		kind = workspace.Shell // whatever it comes to be, the other rules are the same
	}
	return renamed(workspace.NewScript{Name: inlineScript, Type: kind, Content: in.Script}.Check())
}

func isName(ref string) bool { return !desktopID().MatchString(ref) }

// argumentNames are ours for the service's.
var argumentNames = map[string]string{"resource_ids": "desktop_ids", "content": "script", "type": "script_type"}

var resourceIDs = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\bresource_ids\b`)
})

// renamed words a broken rule with the names of our arguments.
func renamed(err error) error {
	var broken *workspace.ArgumentError
	if !errors.As(err, &broken) {
		return err
	}
	ours := &workspace.ArgumentError{}
	for _, p := range broken.Problems {
		if name, ok := argumentNames[p.Field]; ok {
			p.Field = name
		}
		p.Message = p.Message.Map(func(said string) string { return resourceIDs().ReplaceAllString(said, "desktop_ids") })
		ours.Problems = append(ours.Problems, p)
	}
	return lang.Errorf("%w. Nothing was sent", ours)
}

func (s Desktops) planRun(
	ctx context.Context, policy guard.Policy, in *RunWorkspaceScriptInput,
) (plan toolbox.Plan, work batch, err error) {
	for _, refs := range [][]string{in.DesktopIDs, in.GrayResourceIDs} {
		for i := range refs {
			refs[i] = strings.TrimSpace(refs[i])
		}
	}
	scripts, err := in.scripts()
	if err != nil {
		return plan, work, err
	}
	if err := in.check(scripts); err != nil {
		return plan, work, err
	}
	if err := policy.PermitsCount(len(in.DesktopIDs)); err != nil {
		return plan, work, err
	}
	named, err := s.resolve(ctx, in.DesktopIDs)
	if err != nil {
		return plan, work, err
	}
	in.identify(named)
	if err := renamed(in.execution(scripts).Check()); err != nil {
		return plan, work, err
	}
	found := make(map[string]workspace.Desktop, len(named))
	for _, d := range named {
		found[d.ID] = d
	}
	for _, id := range in.DesktopIDs {
		t := s.target(id, found[id])
		t.Effect = in.effectOn(found[id])
		plan.Targets = append(plan.Targets, t)
	}
	described, excerpts, err := s.planScripts(ctx, in, &plan, found)
	if err != nil {
		return plan, work, err
	}
	plan.Effect = lang.T("%s\n%s", lang.Sentences(lang.T("would run %s on %s in %s%s.", described, lang.Count(len(plan.Targets), "desktop"), plan.Where(),
		in.stages(plan.Targets)), in.timeLimit(), idle(plan.Targets)), excerpts)
	return plan, batch{targets: plan.Targets, script: plan.Script}, nil
}

// identify puts ids in the place of names. A desktop of the first batch can be named in another way than among the desktops.
func (in *RunWorkspaceScriptInput) identify(named map[string]workspace.Desktop) {
	for i, ref := range in.DesktopIDs {
		in.DesktopIDs[i] = named[ref].ID
	}
	for i, ref := range in.GrayResourceIDs {
		if d, ok := named[ref]; ok {
			in.GrayResourceIDs[i] = d.ID
			continue
		}
		for _, d := range named {
			if d.ComputerName == ref {
				in.GrayResourceIDs[i] = d.ID
			}
		}
	}
}

// scripts returns the ids of what is to run, after a look at what excludes what.
func (in RunWorkspaceScriptInput) scripts() ([]string, error) {
	switch {
	case in.Script != "" && len(in.ScriptIDs) > 0:
		return nil, lang.Errorf("script and script_ids are both given; give one. Nothing was sent")
	case in.Script == "" && len(in.ScriptIDs) == 0:
		return nil, lang.Errorf("neither script nor script_ids is given. Nothing was sent; list_workspace_scripts shows the stored ones")
	case in.Script == "" && (in.ScriptType != "" || in.KeepScript):
		return nil, lang.Errorf("script_type and keep_script are about script, which is not given. Nothing was sent")
	case in.Script != "":
		return []string{inlineScript}, nil
	}
	return in.ScriptIDs, nil
}

// idle names the desktops that will probably fail.
func idle(targets []toolbox.Target) lang.Text {
	var names []string
	for _, t := range targets {
		if !isActive(t.Status) {
			names = append(names, fmt.Sprintf("%q (%s)", text.Field(t.Name), text.Dash(text.Field(t.Status))))
		}
	}
	if len(names) == 0 {
		return lang.Text{}
	}
	return lang.T("Not ACTIVE, so it will probably fail there: %s.", lang.Some(names))
}

// effectOn says what would happen to one desktop, and in which batch as far as that can be known.
func (in RunWorkspaceScriptInput) effectOn(d workspace.Desktop) lang.Text {
	effect := lang.T("runs it")
	switch {
	case slices.Contains(in.GrayResourceIDs, d.ID):
		effect = lang.T("runs it in the first batch")
	case len(in.GrayResourceIDs) > 0:
		effect = lang.T("runs it after the first batch")
	case in.GrayCount != nil && *in.GrayCount < len(in.DesktopIDs):
		effect = lang.T("runs it in a batch the service chooses")
	}
	if !isActive(d.Status) {
		effect = lang.Clauses(effect, lang.T("not ACTIVE: probably fails"))
	}
	if strings.EqualFold(d.LoginStatus, "CONNECTED") {
		effect = lang.Clauses(effect, lang.T("in use"))
	}
	return effect
}

// stages words the first batch: who is in it, and what keeps the rest from running.
func (in RunWorkspaceScriptInput) stages(targets []toolbox.Target) lang.Text {
	var words lang.Text
	switch {
	case len(in.GrayResourceIDs) > 0:
		var names []string
		for _, t := range targets {
			if slices.Contains(in.GrayResourceIDs, t.ID) {
				names = append(names, t.String())
			}
		}
		words = lang.T(", first on %s", lang.Some(names))
	case in.GrayCount != nil:
		words = lang.T(", first on %d of them, which the service chooses (gray_resource_ids would let you choose)", *in.GrayCount)
	default:
		return words
	}
	if in.GrayFailThreshold != nil {
		return lang.T("%s, and on the rest unless %d or more of these fail", words, *in.GrayFailThreshold)
	}
	return lang.T("%s, and then on the rest whatever fails", words)
}

// timeLimit words how long a script may run.
func (in RunWorkspaceScriptInput) timeLimit() lang.Text {
	if in.ExecutionTimeout == nil || *in.ExecutionTimeout == 0 {
		return lang.T("How long a script may run is up to the service.")
	}
	return lang.T("The service gives a script up after %s.", lang.Count(*in.ExecutionTimeout, "minute"))
}

// planScripts looks at what would run, and returns it described and in excerpts. Stored scripts become part of what consent
// is bound to: one that is changed after the preview is another script.
func (s Desktops) planScripts(
	ctx context.Context, in *RunWorkspaceScriptInput, plan *toolbox.Plan, found map[string]workspace.Desktop,
) (described, excerpts lang.Text, err error) {
	if in.Script != "" {
		kind, err := in.inlineType(found)
		if err != nil {
			return described, excerpts, err
		}
		in.ScriptType = string(kind)
		if kind == workspace.Shell { // the others want the line ends of Windows
			in.Script = strings.ReplaceAll(in.Script, "\r\n", "\n")
		}
		digest := sha256.Sum256([]byte(in.Script))
		plan.Script = &audit.Script{SHA256: hex.EncodeToString(digest[:]), Bytes: len(in.Script)}
		described = lang.T("a %s script of %d bytes (SHA-256 %s…)", kind, len(in.Script), plan.Script.SHA256[:12])
		return described, text.Excerpt(in.Script), checkSystems(kind, lang.T("the script"), found)
	}
	var names []string
	var texts []lang.Text
	all, size := sha256.New(), 0
	for _, id := range in.ScriptIDs {
		script, err := s.Workspace.Script(ctx, id)
		if err != nil {
			return described, excerpts, err
		}
		if err := checkSystems(script.Type, lang.Verbatim(text.Field(script.Name)), found); err != nil {
			return described, excerpts, err
		}
		size += len(script.Content)
		_, _ = all.Write([]byte(script.Content)) // never fails
		if len(in.ScriptIDs) > 1 {
			texts = append(texts, lang.Verbatim(fmt.Sprintf("%q:", text.Field(script.Name))))
		}
		texts = append(texts, text.Excerpt(script.Content))
		digest := sha256.Sum256([]byte(script.Content))
		names = append(names, fmt.Sprintf("%q (%s, %s, SHA-256 %s…)", text.Field(script.Name), text.Field(script.ID),
			text.Field(string(script.Type)), hex.EncodeToString(digest[:6])))
		for i := range plan.Targets {
			plan.Targets[i].Bound = append(plan.Targets[i].Bound, script.ID, hex.EncodeToString(digest[:]))
		}
	}
	plan.Script = &audit.Script{SHA256: hex.EncodeToString(all.Sum(nil)), Bytes: size}
	return lang.Names(names), lang.Lines(texts...), nil
}

// newScript is the text as it is stored. Its name is used once, in case the service wants names to be unique.
func (in RunWorkspaceScriptInput) newScript(digest *audit.Script) workspace.NewScript {
	return workspace.NewScript{
		Name: "scnet-mcp-" + digest.SHA256[:12] + "-" + strings.ToLower(rand.Text()[:8]), Type: workspace.ScriptType(in.ScriptType),
		Content: in.Script, Description: "Stored by scnet-mcp for one run",
	}
}

// inlineType is the given type of the text, or the one that fits the desktops.
func (in RunWorkspaceScriptInput) inlineType(found map[string]workspace.Desktop) (workspace.ScriptType, error) {
	if in.ScriptType != "" {
		return workspace.ScriptType(in.ScriptType), nil
	}
	systems := map[workspace.System]bool{}
	for _, d := range found {
		systems[d.System] = true
	}
	if len(systems) == 1 && systems[workspace.Linux] {
		return workspace.Shell, nil
	}
	return "", lang.Errorf("script_type is missing: the desktops are not all known to run Linux. Nothing was sent; give SHELL, POWERSHELL or BAT")
}

// checkSystems refuses a script on a desktop that is known to run another system.
func checkSystems(kind workspace.ScriptType, name lang.Text, found map[string]workspace.Desktop) error {
	var wrong []string
	for _, d := range found {
		if d.System != "" && kind.System() != "" && d.System != kind.System() {
			wrong = append(wrong, fmt.Sprintf("%q (%s, %s)", text.Field(d.ComputerName), text.Field(d.ID), d.System))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return lang.Errorf("%s is %s, which is for %s, and cannot run on %s. Nothing was sent", name, text.Field(string(kind)), kind.System(), lang.Some(wrong))
}

func askRun(in RunWorkspaceScriptInput, plan toolbox.Plan) guard.Question {
	lines := []lang.Text{lang.T("This call %s", plan.Effect)}
	for _, t := range plan.Targets {
		lines = append(lines, lang.T("- %s, %s: %s", t, text.Field(t.Status), t.Effect))
	}
	return guard.Question{Message: lang.Lines(lines...),
		Choices: []lang.Text{lang.T("run it on %s", lang.Count(len(in.DesktopIDs), "desktop")), lang.T("do not run it")}}
}
