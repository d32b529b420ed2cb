//go:build !race

package bench_test

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the budget as it is measured")

// budgetFile holds what list_instances over stdio allocates, and what the binary weighs: what does not depend on the machine.
const budgetFile = "testdata/budget.json"

// slack is by how much a number may grow before it counts, in percent: what the runtime allocates in the background, and
// versions of Go, make small differences. Of equal texts, some are made twice when their hashes collide.
const slack = 5

// TestBudget fails when something has grown. What is worth its price is recorded with -update, so that a review sees it.
func TestBudget(t *testing.T) {
	measured := map[string]int{}
	measureCalls(t, measured)
	measureBinary(t, measured)
	if *update {
		content, err := json.MarshalIndent(measured, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(budgetFile, append(content, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	content, err := os.ReadFile(budgetFile)
	if err != nil {
		t.Fatal(err)
	}
	var budget map[string]int
	if err := json.Unmarshal(content, &budget); err != nil {
		t.Fatal(err)
	}
	for _, what := range slices.Sorted(maps.Keys(measured)) {
		limit, ok := budget[what]
		if !ok || measured[what] > limit+limit*slack/100 {
			t.Errorf("%s: %d, the budget is %d; make it less, or record it with `make generate` and say why", what, measured[what], limit)
		}
		delete(budget, what)
	}
	if len(budget) > 0 {
		t.Errorf("%s has a budget for %v, which is not measured", budgetFile, budget)
	}
}

// measureCalls tells apart what a call costs and what each of its rows does.
func measureCalls(t *testing.T, measured map[string]int) {
	const few, many = 20, 200
	fewAllocations, fewBytes := perCall(t, few)
	manyAllocations, manyBytes := perCall(t, many)
	measured["allocations_per_row"] = (manyAllocations - fewAllocations) / (many - few)
	measured["bytes_per_row"] = (manyBytes - fewBytes) / (many - few)
	measured["allocations_per_call_of_20_rows"] = fewAllocations
	measured["bytes_per_call_of_20_rows"] = fewBytes
}

func perCall(t *testing.T, rows int) (allocations, bytes int) {
	const warmUp, runs = 20, 200
	call := newWorld(t, rows).stdio(t)
	for range warmUp {
		call()
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))  // as testing.AllocsPerRun does, which does not count bytes
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it empties pools, at a moment that differs from run to run
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		call()
	}
	runtime.ReadMemStats(&after)
	return int(after.Mallocs-before.Mallocs) / runs, int(after.TotalAlloc-before.TotalAlloc) / runs
}

// measureBinary builds what is released for the most common system, and counts the modules that are linked into it.
func measureBinary(t *testing.T, measured map[string]int) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=")
		var errors strings.Builder
		cmd.Stderr = &errors
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, errors.String())
		}
		return string(out)
	}
	binary := filepath.Join(t.TempDir(), "scnet-mcp")
	run("build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", binary, ".")
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	measured["binary_kilobytes"] = int(info.Size() >> 10)
	modules := map[string]bool{}
	for path := range strings.FieldsSeq(run("list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")) {
		modules[path] = true
	}
	measured["modules"] = len(modules)
}
