package cli

import (
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/install"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
)

// consentsTable says what lets a call through at each level, and which tools need it.
func consentsTable(chinese bool) string {
	head, comma := []string{"level", "what lets the call through", "default for"}, ", "
	lets := map[guard.Level]string{
		guard.Flag: "`confirm: true`",
		guard.Preview: "`confirm: true` with the `preview_token` of a preview; if the client can ask its user, the user is asked " +
			"instead",
		guard.Human: "the user's answer to a question; a client that cannot ask is refused",
	}
	if chinese {
		head, comma = []string{"级别", "放行条件", "默认适用的工具"}, "、"
		lets = map[guard.Level]string{
			guard.Flag:    "`confirm: true`",
			guard.Preview: "`confirm: true`，加上预览给出的 `preview_token`；客户端能够询问用户时，改为询问用户",
			guard.Human:   "用户对询问的答复；不能询问用户的客户端会被拒绝",
		}
	}
	rows := [][]string{head}
	for _, level := range []guard.Level{guard.Flag, guard.Preview, guard.Human} {
		var names []string
		for _, name := range toolNames(func(t toolbox.Tool) bool { return t.Risk != guard.Read && t.StandardConsent() == level }) {
			names = append(names, "`"+name+"`")
		}
		rows = append(rows, []string{"`" + string(level) + "`", lets[level], orElse(strings.Join(names, comma), "–")})
	}
	return markdown(rows)
}

// askingClientsTable says what the levels come to in each client, as far as its makers tell whether it can ask its user.
func askingClientsTable(chinese bool) string {
	rows, comma := [][]string{
		{"client", "at `flag`", "at `preview`", "at `human`"},
		{"yes", "`confirm: true` is enough", "its user is asked", "its user is asked"},
		{"no", "`confirm: true` is enough", "the preview and its token, in the conversation", "refused"},
		{"", "`confirm: true` is enough", "as it declares when it connects: a question or a token", "as it declares: a question, or refused"},
	}, ", "
	if chinese {
		rows, comma = [][]string{
			{"客户端", "`flag` 级别", "`preview` 级别", "`human` 级别"},
			{"yes", "`confirm: true` 即可", "询问用户", "询问用户"},
			{"no", "`confirm: true` 即可", "在对话中给出预览和令牌", "拒绝"},
			{"", "`confirm: true` 即可", "以连接时的声明为准：询问用户，或给出令牌", "以连接时的声明为准：询问用户，或拒绝"},
		}, "、"
	}
	for _, row := range rows[1:] {
		var titles []string
		for _, c := range install.Clients() {
			if c.Asks == row[0] {
				titles = append(titles, clientTitle(c, chinese))
			}
		}
		row[0] = strings.Join(titles, comma)
	}
	return markdown(rows)
}
