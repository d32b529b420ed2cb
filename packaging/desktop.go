package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// setting is a value that a user types into a client's form.
type setting struct {
	Variable, Title, Description string
	Secret, Required             bool
}

// settings are the ones that a form asks for; all others have defaults that suit one person at a desk.
var settings = []setting{
	{"SCNET_USER", "SCNET login name", "The name with which you log in to the SCNet platform.", false, true},
	{"SCNET_ACCESS_KEY", "Access key", "Made in SCNet's console: personal centre, access control.", true, true},
	{"SCNET_SECRET_KEY", "Secret key", "Shown once when the access key is made.", true, true},
	{"SCNET_CLUSTER_ID", "Region", "The id of a region (计算中心), such as 11250. Empty: all that you can use.", false, false},
}

// bundles makes an MCP bundle for each platform, which Claude Desktop and others install with a double click.
func (r release) bundles(binaries []binary) error {
	for _, b := range binaries {
		manifest, err := r.bundleManifest(b)
		if err != nil {
			return err
		}
		entries, err := r.contents(b)
		if err != nil {
			return err
		}
		entries[0].name = "server/" + b.file()
		content, err := r.zip(append([]entry{{"manifest.json", 0o644, manifest}}, entries...))
		if err != nil {
			return err
		}
		if err := r.write(bundleFile(r, b), content); err != nil {
			return err
		}
	}
	return nil
}

func bundleFile(r release, b binary) string {
	return fmt.Sprintf("%s_%s_%s_%s.mcpb", program, r.Version, b.OS, b.Arch)
}

func (r release) bundleManifest(b binary) ([]byte, error) {
	form, environment := map[string]any{}, map[string]string{}
	for _, s := range settings {
		key := strings.ToLower(s.Variable)
		form[key] = map[string]any{
			"type": "string", "title": s.Title, "description": s.Description, "sensitive": s.Secret, "required": s.Required,
		}
		if !s.Required {
			form[key].(map[string]any)["default"] = ""
		}
		environment[s.Variable] = "${user_config." + key + "}"
	}
	system := b.OS
	if system == "windows" {
		system = "win32"
	}
	return json.MarshalIndent(map[string]any{
		"manifest_version": "0.3",
		"name":             program, "display_name": "SCNet containers", "version": r.Version, "description": summary,
		"author": map[string]string{"name": authors, "url": homepage}, "license": license, "homepage": homepage,
		"repository": map[string]string{"type": "git", "url": homepage + ".git"},
		"server": map[string]any{
			"type": "binary", "entry_point": "server/" + b.file(),
			"mcp_config": map[string]any{
				"command": "${__dirname}/server/" + b.file(), "args": []string{"serve"}, "env": environment,
			},
		},
		"tools_generated": true, "prompts_generated": true,
		"keywords":      []string{"scnet", "超算互联网", "containers", "hpc", "gpu"},
		"compatibility": map[string]any{"platforms": []string{system}},
		"user_config":   form,
	}, "", "  ")
}

// registryEntry writes server.json, the entry of the MCP registry. It comes last but for the checksums: it holds those of the
// bundles.
func (r release) registryEntry(binaries []binary) error {
	sums, err := r.sums()
	if err != nil {
		return err
	}
	var variables []map[string]any
	for _, s := range settings {
		variables = append(variables, map[string]any{
			"name": s.Variable, "description": s.Description, "isSecret": s.Secret, "isRequired": s.Required, "format": "string",
		})
	}
	stdio := map[string]string{"type": "stdio"}
	packages := []map[string]any{{
		"registryType": "npm", "identifier": program, "version": r.Version, "runtimeHint": "npx", "transport": stdio,
		"environmentVariables": variables,
	}}
	for _, b := range binaries {
		file := bundleFile(r, b)
		packages = append(packages, map[string]any{
			"registryType": "mcpb", "identifier": homepage + "/releases/download/v" + r.Version + "/" + file,
			"version": r.Version, "fileSha256": sums[file], "transport": stdio,
		})
	}
	text, err := json.MarshalIndent(map[string]any{
		"$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
		"name":    registryKey, "title": "SCNet containers", "description": summary, "version": r.Version,
		"repository": map[string]string{"url": homepage, "source": "github"}, "websiteUrl": homepage,
		"packages": packages,
	}, "", "  ")
	if err != nil {
		return err
	}
	return r.write("server.json", append(text, '\n'))
}
