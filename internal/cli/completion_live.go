package cli

import (
	"context"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/tools"
)

// completionTime is how long a shell waits for names that only the service knows.
const completionTime = 1500 * time.Millisecond

// bearer is something that the service knows by an id and a name.
type bearer struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Status string `json:"status"`
}

// source lists what an argument may name. With ids alone, a name only tells people what an id stands for.
type source struct {
	list func(context.Context, services) []bearer
	ids  bool
}

// sources are where the values of arguments come from, which only the service knows. The runs of execute_script are not among
// them: they are in the storage of the instances, and nothing lists them.
func sources(tool toolbox.Tool) map[string]source {
	instances, desktops, scripts := source{list: namedInstances}, source{list: namedDesktops}, source{storedScripts, true}
	all := map[string]source{
		"instance_id": instances, "instance_ids": instances, "like": instances,
		"desktop_ids": desktops, "gray_resource_ids": desktops,
		"region":    {namedRegions, true},
		"script_id": scripts, "script_ids": scripts,
	}
	if tool.Toolset == tools.WorkspaceToolset {
		all["run_id"] = source{func(ctx context.Context, service services) []bearer {
			return recentRuns(ctx, service, tool.Risk != guard.Read)
		}, true}
	}
	return all
}

// live returns the values of an argument that only the service knows. What does not answer in time is not there.
func (l *line) live(tool toolbox.Tool, argument string, given []string) []candidate {
	from, known := sources(tool)[argument]
	if !known {
		return nil
	}
	ctx, cancel := context.WithTimeout(l.ctx, completionTime)
	defer cancel()
	found := make(chan []bearer, 1)
	go func() {
		var service services
		closeAll, err := l.connect(&service)
		if err != nil {
			found <- nil
			return
		}
		defer closeAll()
		found <- from.list(ctx, service)
	}()
	var all []bearer
	select {
	case all = <-found:
	case <-ctx.Done():
	}
	before := argument + "="
	if from.ids {
		return byID(before, all, given)
	}
	return byName(before, strings.TrimPrefix(l.current, before), all, given)
}

// connect opens the clients of the services, without an audit log or anything else that a change needs.
func (l *line) connect(service *services) (closeAll func(), err error) {
	demo := slices.Contains(l.flags, "--demo")
	if set, err := strconv.ParseBool(os.Getenv("SCNET_MCP_DEMO")); err == nil {
		demo = demo || set
	}
	instances, desktops := fromEnvironment, workspaceFromEnvironment
	if demo {
		instances, desktops = simulated, simulatedWorkspace
	}
	closeInstances, err := instances(service, nil)
	if err != nil {
		return nil, err
	}
	closeDesktops, err := desktops(service, nil)
	if err != nil {
		closeInstances()
		return nil, err
	}
	return func() { closeDesktops(); closeInstances() }, nil
}

func namedInstances(ctx context.Context, service services) []bearer {
	var out struct {
		Rows []bearer `json:"instances"`
	}
	arguments := `{"limit": 100}`
	if service.SCNet != nil && !service.SCNet.SingleRegion() { // a name has to be unique in all of them
		arguments = `{"limit": 100, "region": "all"}`
	}
	ask(ctx, service, "list_instances", arguments, &out)
	return out.Rows
}

func namedDesktops(ctx context.Context, service services) []bearer {
	var out struct {
		Rows []bearer `json:"desktops"`
	}
	ask(ctx, service, "list_workspace_desktops", `{"limit": 100}`, &out)
	return out.Rows
}

func storedScripts(ctx context.Context, service services) []bearer {
	var out struct {
		Rows []bearer `json:"scripts"`
	}
	ask(ctx, service, "list_workspace_scripts", `{"limit": 100}`, &out)
	return out.Rows
}

// recentRuns are the runs of the last day, or only those that can still be stopped.
func recentRuns(ctx context.Context, service services, underWay bool) (all []bearer) {
	var out struct {
		Rows []struct {
			ID        string   `json:"id"`
			State     string   `json:"state"`
			Over      bool     `json:"over"`
			StartedAt string   `json:"started_at"`
			Scripts   []bearer `json:"scripts"`
		} `json:"runs"`
	}
	ask(ctx, service, "get_workspace_run", `{"limit": 100}`, &out)
	for _, r := range out.Rows {
		if underWay && r.Over {
			continue
		}
		words := []string{r.State, r.StartedAt}
		for _, script := range r.Scripts {
			words = append(words, script.Name)
		}
		all = append(all, bearer{ID: r.ID, Name: strings.Join(words, " ")})
	}
	return all
}

func namedRegions(ctx context.Context, service services) (all []bearer) {
	if service.SCNet == nil {
		return nil
	}
	regions, err := service.SCNet.Regions(ctx)
	if err != nil {
		return nil
	}
	for _, r := range regions {
		all = append(all, bearer{ID: r.ID, Name: r.Name})
	}
	return all
}

// ask calls a tool that reads. Its rows are cleaned as every result is.
func ask(ctx context.Context, service services, tool, arguments string, out any) {
	service.TrustResults = true
	result, err := newToolbox(service).Call(ctx, toolbox.Call{Tool: tool, Arguments: json.RawMessage(arguments)})
	if err == nil {
		_ = json.Unmarshal(result.Structured, out) // a result of ours decodes
	}
}

func byID(before string, all []bearer, given []string) (candidates []candidate) {
	for _, b := range all {
		if !slices.Contains(given, before+b.ID) {
			candidates = append(candidates, candidate{before + b.ID, b.Name})
		}
	}
	return candidates
}

// unambiguous is what a name has to be to be offered: as plain as candidates are, and nothing that means something to call.
var unambiguous = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[\p{L}\p{N}_][\p{L}\p{N}_.:+-]*$`)
})

// byName offers names, which people know, and ids where a name would not do or an id has been begun.
func byName(before, start string, all []bearer, given []string) (candidates []candidate) {
	count := map[string]int{}
	for _, b := range all {
		count[b.Name]++
	}
	for _, b := range all {
		if slices.Contains(given, before+b.Name) || slices.Contains(given, before+b.ID) {
			continue
		}
		isName := count[b.Name] == 1 && unambiguous().MatchString(b.Name)
		switch {
		case isName && strings.HasPrefix(b.Name, start):
			candidates = append(candidates, candidate{before + b.Name, b.Status + " " + b.ID})
		case !isName || start != "":
			candidates = append(candidates, candidate{before + b.ID, b.Status + " " + b.Name})
		}
	}
	return candidates
}
