package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// memory returns a value of the process in KB: VmRSS, what it has now, or VmHWM, the most it had.
func (p *process) memory(name string) int {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			if err != nil {
				p.t.Fatal(err)
			}
			return kb
		}
	}
	p.t.Fatalf("no %s", name)
	return 0
}

// atMost checks a measured value against a limit in MB.
func (p *process) atMost(when, name string, limit int) {
	p.t.Helper()
	kb := p.memory(name)
	p.t.Logf("%s %s: %.1f MB; VmRSS %.1f MB, of which %.1f MB of files", name, when, float64(kb)/1024,
		float64(p.memory("VmRSS"))/1024, float64(p.memory("RssFile"))/1024)
	if kb > limit<<10 {
		p.t.Errorf("%s %s is %.1f MB, the limit is %d MB", name, when, float64(kb)/1024, limit)
	}
}

// settles waits until a value of the process is within a limit in MB.
func (p *process) settles(name string, limit int) {
	p.t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(patience); p.memory(name) > limit<<10 && time.Now().Before(end); {
		<-again.C
	}
	p.atMost("idle", name, limit)
}

func TestMemoryOverManyCalls(t *testing.T) {
	needs(t, "linux")
	p := start(t, simulate(t, simulator.Options{}), nil)
	p.send(handshake + request(1, "tools/list"))
	p.answerTo(`"init"`)
	p.answerTo(`1`)
	p.settles("VmRSS", 15) // once the memory is given back that only the start needed
	p.atMost("idle", "RssAnon", 7)
	for i := range 2000 {
		p.send(list(i, `{"detail":true}`))
		p.answerTo(fmt.Sprint(i)).listed(t)
	}
	p.atMost("after 2000 calls", "VmRSS", 24) // 21 to 22 MB; the kernel decides how many pages of the binary come along
	_ = p.in.Close()
	p.ends(patience)
}

func TestMemoryOfManyInstances(t *testing.T) {
	needs(t, "linux")
	const n = 10000
	region := simulator.Region{ID: "11250", Name: "华东一区【昆山】"}
	model := simulator.DemoRegions(time.Now())[0].Instances[0]
	for i := range n {
		in := model
		in.ID, in.Name, in.CreateTime = "", fmt.Sprintf("train-%05d", i), model.CreateTime.Add(time.Duration(i)*time.Second)
		region.Instances = append(region.Instances, in)
	}
	p := start(t, simulate(t, simulator.Options{Regions: []simulator.Region{region}}), nil)
	seen, next := 0, 0
	for page := 0; page == 0 || next > 0; page++ {
		p.send(list(page, fmt.Sprintf(`{"limit":200,"start":%d,"detail":true}`, next)))
		rows := p.answerTo(fmt.Sprint(page)).listed(t)
		seen += rows.Returned
		next = rows.NextStart
	}
	if seen != n {
		t.Errorf("%d instances", seen)
	}
	p.atMost("with 10000 instances", "VmHWM", 30)
	_ = p.in.Close()
	p.ends(patience)
}

// BenchmarkStart measures from the start of the process to the answer to tools/list.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		p := start(b, nil, nil)
		p.send(handshake + request(1, "tools/list"))
		p.answerTo(`"init"`)
		p.answerTo(`1`)
		b.StopTimer()
		_ = p.in.Close()
		p.ends(patience)
		b.StartTimer()
	}
}
