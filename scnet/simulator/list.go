package simulator

import (
	"net/http"
	"slices"
	"strings"
)

// listTask is page container/query: GET with, of all things, a JSON body.
func (c *call) listTask() reply {
	body := len(strings.TrimSpace(string(c.body))) > 0
	switch c.quirks.ListForm {
	case ListTaskList:
		return c.refuseList()
	case ListQuery:
		return c.list(queryForm(c.query))
	case ListBodyOrQuery, ListAny:
		if !body {
			return c.list(queryForm(c.query))
		}
	}
	return c.list(jsonForm(c.body))
}

// listTaskList is a form on no page that clients report to work.
func (c *call) listTaskList() reply {
	switch c.quirks.ListForm {
	case ListTaskList, ListAny:
		return c.list(queryForm(c.query))
	}
	return c.refuseList()
}

func (c *call) refuseList() reply {
	switch c.quirks.ListRefusal {
	case RefuseMethod:
		return page(http.StatusMethodNotAllowed)
	case RefuseHTML:
		return page(http.StatusOK)
	case RefuseParameter:
		return fail(codeIncomplete)
	}
	return page(http.StatusNotFound)
}

// list filters and pages. Words that the page does not list are refused, and a name filter matches any part of the name; both
// are assumptions.
func (c *call) list(f *form) reply {
	status := f.word("status", false, Waiting, Deploying, Running, Terminated, Failed, Completed)
	taskType := f.word("taskType", false, taskTypes...)
	names := f.texts("instanceServiceName")
	for i := range names {
		names[i] = strings.ToLower(names[i])
	}
	sort := strings.ToLower(f.text("sort", true))
	f.check(sort == "" || sort == "asc" || sort == "desc")
	limit := f.number("limit", true, 1)
	start := f.number("start", false, 0)
	if out, ok := f.verdict(); !ok {
		return out
	}
	if c.quirks.ListIgnoresStart {
		start = 0
	}
	if c.quirks.ListMaxLimit > 0 {
		limit = min(limit, c.quirks.ListMaxLimit)
	}

	all := c.region.byAge
	rows := []row{}
	total := 0
	for i := range all {
		in := all[i]
		if sort == "desc" {
			in = all[len(all)-1-i]
		}
		if taskType != "" && in.TaskType != taskType {
			continue
		}
		if len(names) > 0 && !slices.ContainsFunc(names, func(n string) bool { return strings.Contains(in.folded, n) }) {
			continue
		}
		if status != "" {
			if now, _, _ := in.at(c.now, c.sim.timing); now != status {
				continue
			}
		}
		if total >= start && len(rows) < limit {
			rows = append(rows, c.row(in, false))
		}
		total++
	}
	out := ok(rows)
	if !c.quirks.TotalAbsent {
		out.total = &total
	}
	return out
}

// detail is page container/detail.
func (c *call) detail() reply {
	in := c.region.byID[c.id]
	switch {
	case in != nil:
		out := ok(c.row(in, true))
		out.msg = "SUCCESS" // as in the sample, unlike everywhere else
		return out
	case c.quirks.DetailUnknown == DetailError:
		return fail(codeUnknown)
	}
	return ok(nil)
}

// accessURL is page container/query-url. What it answers for an instance that is not running (10004 here) is not documented.
func (c *call) accessURL() reply {
	in := c.region.byID[c.id]
	if in == nil {
		return fail(codeUnknown)
	}
	if status, _, _ := in.at(c.now, c.sim.timing); status != Running {
		return fail(codeInvalid)
	}
	forward := "/jupyter-forward/" + in.ID + "/?token=sothisai_" + in.ID
	switch c.quirks.AccessURL {
	case AccessPublic:
		return ok("https://n-" + in.ID + ".ksai.scnet.cn:58043" + forward)
	case AccessService:
		return ok(serviceURL(in.ID))
	}
	return ok("http://10.0.35.26:7090" + forward)
}
