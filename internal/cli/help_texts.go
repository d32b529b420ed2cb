package cli

import (
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

// What the help of a command says around what its declaration says.
const (
	textAbout = "MCP server for container instances on SCNet (超算互联网). Credentials are read from the environment: " +
		"SCNET_USER, SCNET_ACCESS_KEY and SCNET_SECRET_KEY, or SCNET_TOKEN and SCNET_AI_URL; secrets may stand in files named by …_FILE."
	textHelpFlag      = "Show context-sensitive help."
	textFlags         = "Flags:"
	textFlagsOfAll    = "Flags of every command:"
	textCommands      = "Commands:"
	textHelpOfCommand = "Run \"%s <command> --help\" for more information on a command."
)

// textFlagGroups are the titles of groups of flags.
var textFlagGroups = map[string]string{
	"policy": "Policy:", "http": "HTTP:", "audit": "Audit log:", "words": "Words for the model:",
}

// What the help of a tool says around what its schema says.
const (
	textArguments    = "Arguments:"
	textConsentTitle = "Consent:"
	textExample      = "Example:"
	textResult       = "Fields of the result (--json):"
	textMoreHelp     = "scnet-mcp call --help lists the flags, and the ways to give arguments."

	textRequired = ", required"
	textDefault  = ", default %s"
	textRange    = "%s, %s to %s"
	textFrom     = "%s, %s or more"
	textList     = "list of %s; repeat the name for each"
	textNested   = "list of objects, as JSON"
	textFields   = "Each object has: %s."

	textNoSuchTool  = "there is no tool %q; the tools are %s"
	textHelpOfFlags = "help takes the name of a command or of a tool, and no flags"
)

// textKinds are the types of a schema.
var textKinds = map[string]string{
	"string": "text", "integer": "whole number", "number": "number", "boolean": "true|false",
}

// textConsent says how a change gets its consent, by the level that it needs.
var textConsent = map[guard.Level]string{
	guard.Flag: "At a terminal you see what would happen, and are asked. In a script, the call changes nothing and exits with 3; " +
		"with --confirm it acts.",
	guard.Preview: "At a terminal you see what would happen, and are asked. In a script, the call shows what would happen and exits with 3; " +
		"with --confirm it shows that and acts.",
	guard.Human: "Only a person can consent, at a terminal. A script cannot.",
}
