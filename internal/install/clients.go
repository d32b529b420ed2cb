// Package install writes an MCP server into the configurations of MCP clients. It changes the server's own entry and keeps
// every other byte of a file as it is: comments, order, indentation, line ends.
package install

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// System is where a user's files are.
type System struct {
	OS     string // as runtime.GOOS
	Home   string // the user's folder
	Getenv func(name string) string
}

// path joins the parts of a path, the first of which is one already.
func (s System) path(parts ...string) string {
	if s.OS == "windows" {
		return strings.Join(parts, `\`)
	}
	return filepath.Join(parts...)
}

// applications is the folder in which applications keep a user's settings.
func (s System) applications() string {
	switch s.OS {
	case "windows":
		if folder := s.Getenv("APPDATA"); folder != "" {
			return folder
		}
		return s.path(s.Home, "AppData", "Roaming")
	case "darwin":
		return s.path(s.Home, "Library", "Application Support") // not said to people
	}
	return s.dotConfig()
}

// dotConfig is the folder for settings of programs that follow the XDG specification.
func (s System) dotConfig() string {
	if folder := s.Getenv("XDG_CONFIG_HOME"); folder != "" && s.OS != "windows" {
		return folder
	}
	return s.path(s.Home, ".config")
}

// format is how a configuration is written.
type format string

const (
	jsonFormat format = "json" // with comments and trailing commas, which many clients accept
	tomlFormat format = "toml"
)

// Client is an MCP client whose configuration is known.
type Client struct {
	// Name is what a user types, and Title what the client calls itself.
	Name  string
	Title lang.Text
	// Next tells a user what is left to do once the configuration is written.
	Next lang.Text
	// Asks says whether the client's makers tell that a server can ask its user (elicitation): "yes", "no", or "" if they
	// tell nothing. The server goes by what the client declares.
	Asks string

	file   func(System) string // nil: the client keeps its configuration where only it can write
	format format
	list   string   // the member that holds the servers
	extra  []member // what this client wants beside command, args and env
	link   func(Server) string
}

// File returns the path of the client's configuration, or "" when the client keeps none that others can write.
func (c Client) File(s System) string {
	if c.file == nil {
		return ""
	}
	return c.file(s)
}

// Link returns an address that makes the client offer to add the server, or "" when the client knows none. It holds the
// settings of the server as they are.
func (c Client) Link(server Server) string {
	if c.link == nil {
		return ""
	}
	return c.link(server)
}

// Snippet returns the configuration of a client that has no other server.
func (c Client) Snippet(server Server) (string, error) {
	if c.format == tomlFormat {
		text, err := tomlFile(nil).set(c.list, server, func(string) bool { return false })
		return string(text), err
	}
	text, err := jsonFile("{}\n").set([]string{c.list, server.Name}, server.entry(c.extra))
	return string(text), err
}

const restart = "Restart it, or reload its MCP servers."

// Clients returns the clients that are known, in the order in which they are shown.
func Clients() []Client {
	below := func(parts ...string) func(System) string {
		return func(s System) string { return s.path(append([]string{s.Home}, parts...)...) }
	}
	application := func(parts ...string) func(System) string {
		return func(s System) string { return s.path(append([]string{s.applications()}, parts...)...) }
	}
	stdio := []member{{"type", "stdio"}}
	named := lang.Verbatim
	return []Client{
		{Name: "vscode", Asks: "yes", Title: named("VS Code"), file: application("Code", "User", "mcp.json"), list: "servers",
			extra: stdio, link: vscodeLink, Next: lang.T("In VS Code, run “MCP: List Servers” and start it.")},
		{Name: "cursor", Asks: "yes", Title: named("Cursor"), file: below(".cursor", "mcp.json"), list: "mcpServers",
			link: cursorLink, Next: lang.T("In Cursor, switch it on in Settings → MCP.")},
		{Name: "claude-desktop", Title: named("Claude Desktop"), file: application("Claude", "claude_desktop_config.json"),
			list: "mcpServers", Next: lang.T("Quit Claude Desktop altogether and start it again.")},
		{Name: "claude-code", Asks: "yes", Title: named("Claude Code"), file: below(".claude.json"), list: "mcpServers",
			extra: stdio, Next: lang.T("Start a new session; /mcp shows it.")},
		{Name: "windsurf", Title: named("Windsurf"), file: below(".codeium", "windsurf", "mcp_config.json"), list: "mcpServers",
			Next: lang.T("In Windsurf, press Refresh among the MCP servers.")},
		{Name: "zed", Asks: "no", Title: named("Zed"), file: zedFile, list: "context_servers",
			extra: []member{{"source", "custom"}}, Next: lang.T("Zed starts it at once; the Agent panel's settings show it.")},
		{Name: "codex", Asks: "yes", Title: named("Codex"), file: codexFile, format: tomlFormat, list: "mcp_servers",
			Next: lang.T("Start a new session.")},
		{Name: "gemini", Asks: "no", Title: named("Gemini CLI"), file: below(".gemini", "settings.json"), list: "mcpServers",
			Next: lang.T("Start a new session; /mcp shows it.")},
		{Name: "jetbrains", Title: named("JetBrains Junie"), file: below(".junie", "mcp", "mcp.json"), list: "mcpServers",
			Next: lang.T("Restart the IDE. For AI Assistant, paste the output of --print in Settings → Tools → AI Assistant → MCP.")},
		{Name: "cherry-studio", Asks: "no", Title: named("Cherry Studio"), list: "mcpServers", link: cherryLink,
			Next: lang.T("In Cherry Studio, open Settings → MCP servers → Add → Import from JSON, and paste this.")},
		{Name: "trae", Title: named("Trae"), file: application("Trae", "User", "mcp.json"), list: "mcpServers",
			Next: lang.T(restart)},
		{Name: "trae-cn", Title: named("Trae CN"), list: "mcpServers",
			file: application("Trae CN", "User", "mcp.json"), // not said to people
			link: traeLink, Next: lang.T(restart)},
		{Name: "mcp.json", Title: lang.T("an mcp.json in this folder"), list: "mcpServers", Next: lang.T(restart),
			file: func(System) string { return "mcp.json" }},
	}
}

// Find returns the client of a name.
func Find(name string) (Client, bool) {
	all := Clients()
	i := slices.IndexFunc(all, func(c Client) bool { return c.Name == strings.ToLower(strings.TrimSpace(name)) })
	if i < 0 {
		return Client{}, false
	}
	return all[i], true
}

func zedFile(s System) string {
	if s.OS == "windows" {
		return s.path(s.applications(), "Zed", "settings.json")
	}
	return s.path(s.dotConfig(), "zed", "settings.json")
}

func codexFile(s System) string {
	if folder := s.Getenv("CODEX_HOME"); folder != "" {
		return s.path(folder, "config.toml")
	}
	return s.path(s.Home, ".codex", "config.toml")
}
