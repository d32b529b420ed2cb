package server

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// What the conversations are about: simulator.DemoRegions.
const (
	qwen1      = "530491fa7c8e47348f01de73e627a6a7" // runs, 2 dcu
	qwen2      = "9d1c0f6a2b7e4c53a8e1f4d27b60c915" // waits for 4 dcu
	statistics = "7d64e73803de4a6e9a15a8c79c7da015" // runs, 1 gpu
	bertTrain  = "4c1f43ddb030483e89b55413bee6c004" // stopped
	protein    = "765aa93507c74b9eaee044cbaa51ed43" // failed
	completed  = "195d453c7a424b32ac8593512fec6a26"
	bertEval   = "0c8d52e7b6f14935a1e04b9d7c23f680" // stopped, in the other region; another of that name is in the first
	climate    = "e41b7c09f2d84a6b93c5087fd16ae2b8" // runs in the other region
)

func conversations() []conversation {
	return []conversation{
		{name: "why-does-it-not-start", request: "我的 qwen 训练为什么还没开始?", model: whyDoesItNotStart},
		{name: "stop-the-idle-ones", request: "stop the idle ones", model: stopTheIdleOnes},
		{name: "free-the-cards", request: "free the cards of my qwen training but keep the results",
			human: answers("accept", typed("stop")), model: freeTheCards},
		{name: "one-more-of-the-same", request: "再开一个一样的(rstudio-统计分析)", model: oneMoreOfTheSame},
		{name: "how-many-cards", request: "我一共占了几张卡?", model: howManyCards},
		{name: "jupyter-address", request: "give me the Jupyter address", model: jupyterAddress, on: func(s *stage) {
			s.Policy.AllowAccessURLs = true
		}},
		{name: "what-do-i-have", request: "what do I have, in every region?", model: whatDoIHave},
		{name: "another-region", request: "看看乌镇那个气候模拟还剩多少时间", model: anotherRegion},
		{name: "create-from-scratch", request: "create a DCU instance for qwen with my home directory mounted, for two days at most",
			model: createFromScratch},
		{name: "more-cards", request: "bert-train needs two cards", model: moreCards},
		{name: "tell-me-when-it-runs", request: "start bert-train and tell me when it is running", model: tellMeWhenItRuns},
		{name: "clean-up", request: "把失败的和已经跑完的都删掉", model: cleanUp},
		{name: "script-output", request: "run nvidia-smi, or what there is of it, in my qwen training and show me what it says", model: scriptOutput},
		{name: "restart-a-running-one", request: "重启 rstudio-统计分析", model: restartARunningOne},

		{name: "no-address-here", request: "Jupyter 的地址是什么?", model: noAddressHere},
		{name: "more-cards-for-a-running-one", request: "rstudio-统计分析 needs two cards", model: moreCardsForARunningOne},
		{name: "no-cards-left", request: "start bert-train", model: noCardsLeft, on: func(s *stage) {
			s.Policy.MaxRunningAccelerators = 9
		}},
		{name: "ambiguous-name", request: "start bert-eval again", model: ambiguousName},
		{name: "user-says-no", request: "delete bert-train", human: answers("decline", nil), model: userSaysNo},
		{name: "lost-answer", request: "start bert-train", model: lostAnswer, before: func(sim *simulator.Simulator) {
			sim.Inject(simulator.Fault{Endpoint: simulator.EndpointRestart, ResetAfter: true, Times: 1})
		}},
		{name: "script-on-desktops", request: "在所有能用的 Linux 云桌面上看一下磁盘", model: scriptOnDesktops},
		{name: "protected", request: "delete everything that has ended", model: protected, on: func(s *stage) {
			s.Policy.Protect = []guard.Pattern{pattern("name:bert-*")}
		}},
	}
}

func pattern(text string) guard.Pattern {
	p, err := guard.ParsePattern(text)
	if err != nil {
		panic(err)
	}
	return p
}

func (a args) with(more args) args {
	merged := maps.Clone(a)
	maps.Copy(merged, more)
	return merged
}

func idsOf(rows []row) (ids []string) {
	for _, r := range rows {
		ids = append(ids, r.text("id"))
	}
	return ids
}

func createFromScratch(m *model) {
	region := args{"region": "11250"}
	group := m.call("list_resources", region.with(args{"kind": "groups", "accelerator_type": "dcu"})).rows("groups")[0]
	images := region.with(args{"kind": "images", "accelerator_type": "dcu", "name": "qwen", "private": true})
	image := m.call("list_resources", images).rows("images")[0]
	mount := m.call("list_resources", region.with(args{"kind": "mounts"})).rows("mounts")[0]
	m.call("create_instance", region.with(args{
		"name": "qwen-new", "task_type": "jupyter", "accelerator_type": "dcu", "resource_group": group.text("resource_group"),
		"image": image.text("image"), "accelerators": 1, "cpus": 8, "memory_mb": 15360, "time_limit": "2d", "wait_seconds": 45,
		"mounts": []args{{"source": mount.text("path"), "target": "/root/data"}},
	}))
	m.answer("%s", m.seen.data.row("preview").text("effect"))
	m.user("yes")
	created := m.confirm()
	m.is("status", m.status(created.text("instance_id")), simulator.Running)
	m.answer("It runs: %s", created.text("instance_id"))
}

// everywhere lists instances in all regions.
func (m *model) everywhere(a args) []row { return m.call("list_instances", a).rows("instances") }

// at names an instance, and the region that it was seen in.
func at(r row) args { return args{"instance_id": r.text("id"), "region": r.text("region")} }

// all name instances of one region.
func all(rows []row) args { return args{"instance_ids": idsOf(rows), "region": rows[0].text("region")} }

func howManyCards(m *model) {
	summary := m.call("list_instances", args{}).row("summary")
	m.is("what is counted", summary.text("of"), "all")
	m.is("accelerators", summary.number("accelerators"), 2+1+1+1)
	m.is("whether it is told", strings.Contains(m.seen.text, "5 accelerators occupied"), true)
	var kinds []string
	for _, kind := range summary.rows("by_accelerator_type") {
		kinds = append(kinds, fmt.Sprintf("%d %s", kind.number("accelerators"), kind.text("accelerator_type")))
	}
	m.answer("两个区域一共占了 %d 张卡: %s。", summary.number("accelerators"), strings.Join(kinds, ", "))
}

func whatDoIHave(m *model) {
	found := m.everywhere(args{})
	m.is("instances", len(found), 10)
	m.answer("%d instances", len(found))
}

func anotherRegion(m *model) {
	found := m.everywhere(args{"name": "气候模拟"})
	m.is("what was found", idsOf(found), []string{climate})
	m.is("region", found[0].text("region"), "20057")
	m.answer("%s 在 %s, 没有时间限制。", found[0].text("name"), found[0].text("region_name"))
}

func stopTheIdleOnes(m *model) {
	found := m.everywhere(args{"status": simulator.Running})
	m.answer("I cannot see whether an instance is idle. %d run. Which shall I stop?", len(found))
	m.user("the one for statistics")
	i := slices.IndexFunc(found, func(r row) bool { return strings.Contains(r.text("name"), "统计") })
	m.call("stop_instances", all(found[i:i+1]).with(args{"wait_seconds": 50}))
	m.is("status before consent", m.status(statistics), simulator.Running)
	m.answer("%s", m.seen.data.row("preview").text("effect"))
	m.user("yes")
	m.is("state", m.confirm().text("state"), "done")
	m.is("status", m.status(statistics), simulator.Terminated)
}

func freeTheCards(m *model) {
	found := m.everywhere(args{"name": "qwen", "status": simulator.Running})
	m.call("stop_instances", all(found).with(args{"wait_seconds": 50, "confirm": true}))
	m.is("status", m.status(qwen1), simulator.Terminated)
	mounts := m.seen.data.rows("targets")[0].rows("mounts")
	m.answer("%s is stopped, and was not deleted; what is in %s stays.", found[0].text("name"), mounts[0].text("source"))
}

func oneMoreOfTheSame(m *model) {
	found := m.everywhere(args{"name": "统计分析"})[0]
	like := args{"name": "rstudio-2", "like": found.text("id"), "region": found.text("region")}
	m.stumble("create_instance", like, "time_limit")
	m.answer("可以用多长时间?原来的那个没有时间限制。")
	m.user("一天")
	m.call("create_instance", like.with(args{"time_limit": "1d", "wait_seconds": 45}))
	m.answer("%s", m.seen.data.row("preview").text("effect"))
	m.user("好")
	created := m.confirm()
	m.is("status", m.status(created.text("instance_id")), created.text("last_status"))
	m.answer("%s: %s", created.text("instance_id"), created.text("last_status"))
}

func moreCards(m *model) {
	m.call("resize_instance", at(m.everywhere(args{"name": "bert-train"})[0]).with(args{"accelerators": 2}))
	m.answer("%s", m.seen.data.row("preview").text("effect"))
	m.user("yes")
	m.is("state", m.confirm().text("state"), "done")
	m.is("status", m.status(bertTrain), simulator.Terminated)
	m.answer("It has two cards from its next start on. Shall I start it?")
}

func tellMeWhenItRuns(m *model) {
	found := m.everywhere(args{"name": "bert-train"})[0]
	started := m.call("restart_instance", at(found).with(args{"wait_seconds": 50, "confirm": true}))
	m.is("state", started.text("state"), "done")
	m.is("status", m.status(bertTrain), simulator.Running)
	m.answer("%s runs after %d s.", found.text("name"), started.number("waited_seconds"))
}

func cleanUp(m *model) {
	ended := m.everywhere(args{"status": []string{"失败", "已完成"}})
	m.is("what has ended", idsOf(ended), []string{protein, completed})
	m.call("delete_instances", all(ended))
	m.answer("%s", m.seen.data.row("preview").text("effect"))
	m.user("可以")
	done := m.confirm()
	m.is("state", done.text("state"), "done")
	m.is("what is left", m.status(protein)+m.status(completed), "")
	m.answer("删除了 %d 个实例。", len(done.rows("targets")))
}

func userSaysNo(m *model) {
	found := m.everywhere(args{"name": "bert-train"})
	m.stumble("delete_instances", all(found).with(args{"confirm": true}), "said no", "Nothing was changed")
	m.is("status", m.status(bertTrain), simulator.Terminated)
	m.answer("You said no, so nothing was deleted.")
}

func lostAnswer(m *model) {
	found := m.everywhere(args{"name": "bert-train"})[0]
	started := m.call("restart_instance", at(found).with(args{"confirm": true}))
	m.is("whether it is told", strings.Contains(m.seen.text, "The answer was lost"), true)
	m.is("state", started.text("state"), "done")
	m.is("status", m.status(bertTrain), started.text("last_status"))
	m.answer("It was started once. The service's answer was lost, and it is %s.", started.text("last_status"))
}

func ambiguousName(m *model) {
	m.stumble("restart_instance", args{"instance_id": "bert-eval", "confirm": true}, "d3e0702e9389426cbc9cb86cdc548a54", bertEval, "20057")
	m.answer("There are two, one in each region. Which one?")
	m.user("the one in Wuzhen")
	m.is("state", m.call("restart_instance", args{"instance_id": bertEval, "wait_seconds": 50, "confirm": true}).text("state"), "done")
	m.is("status", m.status(bertEval), simulator.Running)
	m.answer("It runs.")
}

func scriptOnDesktops(m *model) {
	var linux []string
	for _, desktop := range m.call("list_workspace_desktops", args{"status": "ACTIVE"}).rows("desktops") {
		if desktop.text("system") == "Linux" {
			linux = append(linux, desktop.text("id"))
		}
	}
	scripts := m.call("list_workspace_scripts", args{"name": "disk"}).rows("scripts")
	m.call("run_workspace_script", args{"desktop_ids": linux, "script_ids": idsOf(scripts), "wait_seconds": 50})
	m.user("跑吧")
	run := m.confirm()
	m.is("state", run.text("state"), "done")
	m.is("exit codes", len(run.rows("records")), len(linux))
	m.answer("%d 台云桌面上都跑完了。", len(linux))
}

func protected(m *model) {
	ended := m.everywhere(args{"status": "stopped, failed"})
	ended = slices.DeleteFunc(ended, func(r row) bool { return r.text("region") != "11250" })
	m.stumble("delete_instances", all(ended), "protected", "bert-", "Nothing was changed")
	m.answer("The operator protects what is called bert-…; shall I delete the others?")
	m.user("yes")
	others := slices.DeleteFunc(ended, func(r row) bool { return strings.HasPrefix(r.text("name"), "bert-") })
	m.call("delete_instances", all(others))
	m.is("state", m.confirm().text("state"), "done")
	m.is("the protected one", m.status(bertTrain), simulator.Terminated)
}

func whyDoesItNotStart(m *model) {
	found := m.call("list_instances", args{"name": "qwen", "status": "waiting"}).rows("instances")
	m.is("what waits", idsOf(found), []string{qwen2})
	detail := m.call("get_instance", args{"instance_id": found[0].text("id")})
	facts, _ := detail["facts"].([]any)
	m.is("whether anything is known", len(facts) > 0, true)
	m.answer("%s 还在排队 (%s): %v", found[0].text("name"), detail.row("instance").text("status"), facts)
}

func jupyterAddress(m *model) {
	found := m.call("list_instances", args{"task_type": "jupyter", "status": "running"}).rows("instances")
	m.is("Jupyter that runs", idsOf(found), []string{qwen1})
	access := m.call("get_instance", args{"instance_id": qwen1, "show_access": true}).row("access")
	m.is("whether the text has it too", strings.Contains(m.seen.text, access.text("url")), true)
	m.answer("%s", access.text("url"))
}

func noAddressHere(m *model) {
	access := m.call("get_instance", args{"instance_id": "qwen-finetune-01", "show_access": true}).row("access")
	m.is("address", access.text("url"), "")
	m.answer("%s", m.seen.data.text("next"))
}

func restartARunningOne(m *model) {
	found := m.everywhere(args{"name": "统计分析"})
	m.stumble("restart_instance", at(found[0]).with(args{"confirm": true}), "stop_instances", "Nothing was changed")
	m.answer("It runs. To restart it means to stop it first, which ends its processes. Shall I?")
	m.user("是")
	m.call("stop_instances", all(found).with(args{"wait_seconds": 50}))
	m.is("state", m.confirm().text("state"), "done")
	m.is("state", m.call("restart_instance", at(found[0]).with(args{"wait_seconds": 50, "confirm": true})).text("state"), "done")
	m.is("status", m.status(statistics), simulator.Running)
}

func moreCardsForARunningOne(m *model) {
	more := args{"instance_id": "rstudio-统计分析", "accelerators": 2}
	m.stumble("resize_instance", more, "stop_instances", "Nothing was changed")
	m.answer("Only a stopped instance can be resized. Shall I stop it, which ends its processes, and start it again with two cards?")
	m.user("yes")
	m.call("stop_instances", args{"instance_ids": []string{statistics}, "wait_seconds": 50})
	m.is("state", m.confirm().text("state"), "done")
	m.call("resize_instance", more)
	m.is("state", m.confirm().text("state"), "done")
	started := m.call("restart_instance", args{"instance_id": statistics, "wait_seconds": 50, "confirm": true})
	m.is("state", started.text("state"), "done")
	m.is("cards", started.rows("targets")[0].number("total_accelerators"), 2)
	m.answer("It runs with two cards.")
}

func noCardsLeft(m *model) {
	m.stumble("restart_instance", args{"instance_id": "bert-train", "confirm": true}, "9 accelerators are occupied or queued for", "allows 9", "stop")
	m.answer("The operator allows 9 cards at once, and 9 are taken. Which instance shall I stop to make room?")
	m.user("qwen-finetune-02, it only queues")
	m.call("stop_instances", args{"instance_ids": []string{"qwen-finetune-02"}, "wait_seconds": 50})
	m.is("whether it is told that nothing runs", strings.Contains(m.seen.text, "out of the queue"), true)
	m.answer("%s", m.seen.data.row("preview").text("effect"))
	m.user("yes")
	m.is("state", m.confirm().text("state"), "done")
	m.is("state", m.call("restart_instance", args{"instance_id": "bert-train", "wait_seconds": 50, "confirm": true}).text("state"), "done")
	m.is("status", m.status(bertTrain), simulator.Running)
}

func scriptOutput(m *model) {
	m.call("execute_script", args{"instance_ids": []string{"qwen-finetune-01"}, "script": "sleep 20; nvidia-smi", "wait_seconds": 5})
	m.answer("%s", m.seen.data.row("preview").text("effect"))
	m.user("yes")
	ran := m.confirm()
	m.is("state", ran.text("state"), "waiting")
	run := ran.rows("runs")[0].text("run_id")
	m.is("whether the text names the run", strings.Contains(m.seen.text, run), true)
	m.answer("It still runs.")
	<-time.After(time.Minute)
	m.user("and now?")
	out := m.call("get_script_output", args{"run_id": run})
	m.is("state", out.text("state"), "succeeded")
	container := out.rows("per_container")[0]
	m.is("exit code", container.number("exit_code"), 0)
	m.is("whether it shows", strings.Contains(m.seen.text, "SMI"), true)
	m.answer("%s", container.text("stdout"))
}
