package simulator

import (
	"slices"
	"strings"
)

// restart is page container/restart. The id is a query parameter; one in a JSON body, as the on-premises console sends it,
// does not count. Which code answers for an unknown id or a wrong state is an assumption.
func (c *call) restart() reply {
	id := c.query.Get("instanceServiceId")
	if id == "" {
		return fail(codeIncomplete)
	}
	in := c.region.byID[id]
	if in == nil {
		return fail(codeStart)
	}
	if status, _, _ := in.at(c.now, c.sim.timing); !ended(status) {
		return fail(codeStart)
	}
	in.start(c.now, c.sim.newID(), c.quirks.CardsRunOut)
	switch c.quirks.RestartID {
	case RestartSameID:
		return ok(in.ID)
	case RestartNewID:
		delete(c.region.byID, in.ID)
		in.ID = c.sim.newID()
		c.region.byID[in.ID] = in
		return ok(in.ID)
	}
	return ok(in.HeaderNotebookID)
}

// stop ends active instances. There is no page on it; path and parameters are what clients send and the service has been seen
// to take. An unknown id fails the whole call.
func (c *call) stop() reply {
	ids, bad := c.ids()
	if ids == nil {
		return bad
	}
	for _, id := range ids {
		in := c.region.byID[id]
		if in == nil {
			return fail(codeUnknown)
		}
		if c.quirks.StopEndedFails && !c.active(in) {
			return fail(codeStopped)
		}
	}
	for _, id := range ids {
		in := c.region.byID[id]
		if status, _, _ := in.at(c.now, c.sim.timing); active(status) && status != Stopping {
			in.end(c.now, c.sim.timing)
		}
	}
	return ok(nil)
}

// delete is page container/delete.
func (c *call) delete() reply {
	ids, bad := c.ids()
	if ids == nil {
		return bad
	}
	failed := false
	for _, id := range ids {
		in := c.region.byID[id]
		switch {
		case in == nil:
			failed = failed || c.quirks.DeleteBatch != DeleteIgnoresUnknown
		case c.quirks.DeleteActiveFails && c.active(in):
			failed = true
		}
	}
	if failed && c.quirks.DeleteBatch != DeletePartial {
		return fail(codeDelete)
	}
	for _, id := range ids {
		if in := c.region.byID[id]; in != nil && (!c.quirks.DeleteActiveFails || !c.active(in)) {
			c.region.remove(id)
		}
	}
	if failed {
		return fail(codeDelete)
	}
	return ok(nil)
}

// execute is page container/execute. The script is kept, and given to Options.OnScript; without one its containers imitate
// what it would leave behind. The simulator itself runs nothing.
// The service returns nothing of it either.
func (c *call) execute() reply {
	f := jsonForm(c.body)
	id := f.text("id", true)
	content := f.text("startScriptContent", true)
	scope := f.word("startScriptActionScope", true, scopes...)
	if out, ok := f.verdict(); !ok {
		return out
	}
	in := c.region.byID[id]
	if in == nil {
		return fail(codeExecute)
	}
	if status, _, _ := in.at(c.now, c.sim.timing); status != Running {
		return fail(codeCount)
	}
	run := ScriptRun{Time: c.now, Region: c.region.ID, InstanceID: id, Scope: scope, Content: content}
	c.sim.scripts.Add(run)
	c.act(in, run)
	if hook := c.sim.onScript; hook != nil {
		c.after = func() { hook(run) }
	}
	return ok(nil)
}

// ids reads the repeated ids parameter, without duplicates; nil comes with the error reply. The page shows no comma form, so
// a comma makes an id invalid.
func (c *call) ids() ([]string, reply) {
	var ids []string
	for _, id := range c.query["ids"] {
		if strings.Contains(id, ",") {
			return nil, fail(codeInvalid)
		}
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if ids == nil {
		return nil, fail(codeIncomplete)
	}
	return ids, reply{}
}

func (c *call) active(in *instance) bool {
	status, _, _ := in.at(c.now, c.sim.timing)
	return active(status)
}
