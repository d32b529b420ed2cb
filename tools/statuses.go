package tools

import (
	"fmt"
	"slices"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// statusWords are the words that people use for the service's statuses, in both languages and in lower case.
var statusWords = map[scnet.Status][]string{
	scnet.Running:    {"active", "up", "运行", "运行中", "正在运行"},
	scnet.Deploying:  {"starting", "creating", "部署", "部署中", "启动中", "创建中"},
	scnet.Waiting:    {"pending", "queued", "queueing", "queuing", "等待", "等待中", "排队", "排队中"},
	scnet.Terminated: {"stopped", "stop", "terminate", "停止", "已停止", "终止", "已终止", "关机", "已关机"},
	scnet.Failed:     {"error", "失败", "已失败", "异常", "错误"},
	scnet.Completed:  {"complete", "finished", "done", "succeeded", "完成", "已完成"},
}

// parseStatus reads a status in the service's word or in one that people use.
func parseStatus(word string) (scnet.Status, error) {
	word = strings.TrimSpace(word)
	if status, documented := scnet.ParseStatus(word); documented {
		return status, nil
	}
	for _, status := range scnet.Statuses() {
		if slices.Contains(statusWords[status], strings.ToLower(word)) {
			return status, nil
		}
	}
	return "", &upstream.Failure{Kind: upstream.Argument, Service: "SCNet", Err: fmt.Errorf(
		"%q is not a status. Nothing was sent. The statuses are %s", text.Line(word, 40), validStatuses())}
}

// validStatuses lists the statuses with a word of each language for every one.
func validStatuses() string {
	words := make([]string, 0, len(statusWords))
	for _, status := range scnet.Statuses() {
		others := statusWords[status]
		words = append(words, fmt.Sprintf("%s (%s, %s)", status, others[0], others[len(others)-1]))
	}
	return strings.Join(words, ", ")
}
