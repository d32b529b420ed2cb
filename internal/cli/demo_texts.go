package cli

// What the short demo says around what the server answers.
const (
	textDemoBegins    = "%s\nIt is driven over stdio by an MCP client (MCP %s), on simulated instances. Nothing real is shown or changed.\n"
	textDemoList      = "What is there?"
	textDemoNoConsent = "Delete an instance without the user's consent: there is only a preview."
	textDemoConsent   = "The user agrees to that preview. Its token lets exactly this call through, once."
	textDemoScript    = "Run a script, first in one instance (the canary), then in the rest. Exit code and output come back."
	textDemoFails     = "A script that fails: the canary fails, and the rest is not attempted."
	textDemoAudit     = "The audit log of all this, verified."
	textDemoEnds      = "Demo done. scnet-mcp demo --full plays every act, and scnet-mcp install CLIENT adds the server to your client."
	textDemoFullEnds  = "Demo done. Nothing real was shown or changed."
)
