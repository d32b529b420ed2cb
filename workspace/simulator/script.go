package simulator

import (
	"math"
	"slices"
	"strings"
	"time"
)

// Script is one stored script (page ShowScriptDetail).
type Script struct {
	ID          string // a decimal number; made up when empty
	Name        string
	Description string
	Type        string // POWERSHELL, BAT or SHELL; SHELL when empty
	Version     string
	Content     string
	CreateTime  time.Time // now when zero
	UpdateTime  time.Time // CreateTime when zero
}

// The types of scripts (page CreateScript): the first two are for Windows.
const (
	PowerShell = "POWERSHELL"
	Bat        = "BAT"
	Shell      = "SHELL"
)

// timeForm is the form of times in the script operations.
const timeForm = "2006-01-02T15:04:05Z"

// AddScript stores a script and returns its id.
func (s *Simulator) AddScript(script Script) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addScript(script, s.now())
}

func (s *Simulator) addScript(script Script, now time.Time) string {
	if script.ID == "" {
		script.ID = s.newScriptID()
	}
	if script.Type == "" {
		script.Type = Shell
	}
	if script.CreateTime.IsZero() {
		script.CreateTime = now
	}
	if script.UpdateTime.IsZero() {
		script.UpdateTime = script.CreateTime
	}
	s.scripts = append(s.scripts, &script)
	return script.ID
}

// Scripts returns all scripts, in the order of the lists.
func (s *Simulator) Scripts() []Script {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Script, len(s.scripts))
	for i, script := range s.scripts {
		all[i] = *script
	}
	return all
}

// script returns the script with the given id, or nil.
func (s *Simulator) script(id string) *Script {
	for _, script := range s.scripts {
		if script.ID == id {
			return script
		}
	}
	return nil
}

// scriptJSON is a script in answers; Content is in the detailed one only.
type scriptJSON struct {
	ID          string  `json:"id"`
	Name        string  `json:"name"`
	Description string  `json:"description"`
	Type        string  `json:"type"`
	Version     string  `json:"version"`
	CreateTime  string  `json:"create_time"`
	UpdateTime  string  `json:"update_time"`
	Content     *string `json:"content,omitempty"`
}

func (s *Script) json() scriptJSON {
	return scriptJSON{
		ID: s.ID, Name: s.Name, Description: s.Description, Type: s.Type, Version: s.Version,
		CreateTime: s.CreateTime.UTC().Format(timeForm), UpdateTime: s.UpdateTime.UTC().Format(timeForm),
	}
}

// scriptBody is the body of CreateScript and UpdateScript.
type scriptBody struct {
	check
	Name        string `json:"name"`
	Type        string `json:"type"`
	Content     string `json:"content"`
	Description string `json:"description"`
	Version     string `json:"version"`
}

// limits checks what the pages limit. There is no limit for the name.
func (b *scriptBody) limits() {
	b.length("name", b.Name, 1, math.MaxInt)
	b.length("content", b.Content, 1, 100000)
	b.length("description", b.Description, 0, 256)
	b.length("version", b.Version, 0, 128)
}

// createScript is page CreateScript. Two scripts may have the same name: no page says that they may not.
func (c *call) createScript() reply {
	var b scriptBody
	b.decode(c.body, &b)
	b.limits()
	b.word("type", b.Type, PowerShell, Bat, Shell)
	if out, ok := b.verdict(); !ok {
		return out
	}
	id := c.sim.addScript(Script{
		Name: b.Name, Type: b.Type, Content: b.Content, Description: b.Description, Version: b.Version,
	}, c.now)
	return ok(map[string]string{"script_id": id})
}

// updateScript is page UpdateScript. It replaces the whole script: what is not sent is assumed to become empty. The type
// cannot be changed.
func (c *call) updateScript() reply {
	var b scriptBody
	b.decode(c.body, &b)
	b.limits()
	b.length("script_id", c.id, 1, 128)
	if out, ok := b.verdict(); !ok {
		return out
	}
	script := c.sim.script(c.id)
	if script == nil {
		return missing("script", c.id)
	}
	script.Name, script.Content, script.Description, script.Version = b.Name, b.Content, b.Description, b.Version
	script.UpdateTime = c.now
	return noContent()
}

// deleteScript is page DeleteScript. Tasks keep the script as it was.
func (c *call) deleteScript() reply {
	i := slices.IndexFunc(c.sim.scripts, func(s *Script) bool { return s.ID == c.id })
	if i < 0 {
		return missing("script", c.id)
	}
	c.sim.scripts = slices.Delete(c.sim.scripts, i, i+1)
	return noContent()
}

// listScripts is page ListScripts. Names are assumed to match in part.
func (c *call) listScripts() reply {
	p := c.query.page(10, 1, 100)
	id := c.query.text("id", 128)
	name := c.query.text("name", 128)
	kind := c.query.text("type", 128)
	if out, ok := c.query.verdict(); !ok {
		return out
	}
	found := []scriptJSON{}
	for _, s := range c.sim.scripts {
		if (id == "" || s.ID == id) && strings.Contains(s.Name, name) && (kind == "" || s.Type == kind) {
			found = append(found, s.json())
		}
	}
	return ok(map[string]any{"count": len(found), "scripts": cut(found, p)})
}

// showScript is page ShowScriptDetail. With script_task_id it is assumed to show the script that this task ran, whatever
// became of it since.
func (c *call) showScript() reply {
	taskID := c.query.text("script_task_id", 128)
	c.query.length("script_id", c.id, 1, 128)
	if out, ok := c.query.verdict(); !ok {
		return out
	}
	script := c.sim.script(c.id)
	if taskID != "" {
		t := c.sim.task(taskID)
		if t == nil {
			return missing("task", taskID)
		}
		script = nil
		if i := slices.IndexFunc(t.scripts, func(s Script) bool { return s.ID == c.id }); i >= 0 {
			script = &t.scripts[i]
		}
	}
	if script == nil {
		return missing("script", c.id)
	}
	j := script.json()
	j.Content = &script.Content
	return ok(j)
}
