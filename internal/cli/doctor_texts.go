package cli

import (
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// In says how a check ended.
func (v verdict) In(l lang.Lang) string {
	switch v {
	case passed:
		return l.Word("ok")
	case failed:
		return l.Word("FAIL")
	default:
		return l.Word("note")
	}
}

// checkName says what a check is about. That of a region has the id of the region behind it.
func checkName(check string) lang.Text {
	kind, id, _ := strings.Cut(check, " ")
	name, known := map[string]lang.Text{
		"tools": lang.T("tools"), "secrets": lang.T("secrets"), "workspace": lang.T("workspace"),
		"configuration": lang.T("configuration"), "connection": lang.T("connection"), "clock": lang.T("clock"),
		"login": lang.T("login"), "region": lang.T("region"), "policy": lang.T("policy"),
	}[kind]
	switch {
	case !known:
		return lang.Verbatim(check)
	case id == "":
		return name
	}
	return lang.T("%s %s", name, id)
}
