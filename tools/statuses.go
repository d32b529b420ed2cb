package tools

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
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
	if status, ok := statusOf(strings.TrimSpace(word)); ok {
		return status, nil
	}
	return "", notStatuses([]string{word})
}

// parseStatuses reads several, each in a word of its own or one after the other in one word. None means any status. The error
// names every word that is not a status.
func parseStatuses(words []string) ([]scnet.Status, error) {
	var statuses []scnet.Status
	var wrong []string
	every := false
	for _, word := range strings.FieldsFunc(strings.Join(words, ","), separates) {
		status, ok := statusOf(word)
		switch {
		case isEvery(word):
			every = true
		case !ok:
			wrong = append(wrong, word)
		case !slices.Contains(statuses, status):
			statuses = append(statuses, status)
		}
	}
	switch {
	case wrong != nil:
		return nil, notStatuses(wrong)
	case every:
		return nil, nil
	}
	return statuses, nil
}

// separates reports whether r stands between two statuses.
func separates(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(",;|/，；、", r) }

func statusOf(word string) (scnet.Status, bool) {
	if status, documented := scnet.ParseStatus(word); documented {
		return status, true
	}
	for _, status := range scnet.Statuses() {
		if slices.Contains(statusWords[status], strings.ToLower(word)) {
			return status, true
		}
	}
	return "", false
}

func notStatuses(words []string) error {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = strconv.Quote(text.Line(strings.TrimSpace(word), 40))
	}
	said := lang.T("%s is not a status", lang.Some(quoted))
	if len(words) > 1 {
		said = lang.T("%s are not statuses", lang.Some(quoted))
	}
	return &upstream.Failure{Kind: upstream.Argument, Service: "SCNet", Err: lang.Errorf(
		"%s. Nothing was sent. The statuses are %s", said, validStatuses())}
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
