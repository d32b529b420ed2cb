package tools

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/scnet-mcp/scnet-mcp/internal/text"
)

// plainArguments are the arguments whose values an audit record may show. Others appear as a digest: ids are among the
// targets, and a script may hold anything.
var plainArguments = []string{
	"region", "force", "wait_seconds", "scope", "canary", "canary_wait_seconds", "concurrency", "max_failures", "confirm",
	"script_ids", "script_type", "keep_script", "gray_count", "gray_fail_threshold", "execution_timeout", "run_id",
}

// auditArguments returns the arguments of a call for an audit record: values of plainArguments, digests of the rest.
func auditArguments(in any) map[string]string {
	encoded, _ := json.Marshal(in) // argument structs always encode
	var values map[string]json.RawMessage
	if json.Unmarshal(encoded, &values) != nil {
		return nil
	}
	arguments := make(map[string]string, len(values))
	for name, value := range values {
		if slices.Contains(plainArguments, name) {
			arguments[name] = text.Field(string(value))
			continue
		}
		digest := sha256.Sum256(value)
		arguments[name] = "sha256:" + hex.EncodeToString(digest[:8])
	}
	return arguments
}
