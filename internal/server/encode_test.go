package server

import (
	"encoding/json"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"
)

// What is put together is what encoding/json writes, byte for byte.
func TestEncode(t *testing.T) {
	data := json.RawMessage(`{"region":"a","instances":[{"id":"\u003cx","cards":2}]}`)
	failed := mcp.NewToolResultStructured(data, "some\n\"text\" <b>")
	failed.IsError, failed.ResultType = true, mcp.ResultTypeComplete
	failed.Meta = &mcp.Meta{AdditionalFields: map[string]any{"kind": "refused"}}
	both := mcp.NewToolResultStructured(data, "x")
	both.RawStructuredContent = []byte(`{"raw":true}`)
	for name, result := range map[string]any{
		"data":         mcp.NewToolResultStructured(data, "text"),
		"error":        failed,
		"raw":          both,
		"not encoded":  mcp.NewToolResultStructured(map[string]int{"b": 1, "a": 2}, ""),
		"empty data":   mcp.NewToolResultStructured(json.RawMessage{}, "x"),
		"only text":    mcp.NewToolResultText("text"),
		"nothing":      (*mcp.CallToolResult)(nil),
		"another kind": mcp.ListToolsResult{Tools: []mcp.Tool{}},
	} {
		for _, id := range []any{1, "a\"b", json.RawMessage(`12345678901234567890`), nil} {
			message := mcp.NewJSONRPCResultResponse(mcp.NewRequestId(id), result)
			if name == "empty data" { // which is not JSON
				if got, err := encode(message); err == nil {
					t.Errorf("%s: %s", name, got)
				}
				continue
			}
			want, err := json.Marshal(message)
			if err != nil {
				t.Fatal(err)
			}
			got, err := encode(message)
			if err != nil || string(got) != string(want) {
				t.Errorf("%s: %s, %v; want %s", name, got, err, want)
			}
		}
	}
	if got, err := encode(mcp.NewJSONRPCError(mcp.NewRequestId(1), 2, "x", nil)); err != nil ||
		string(got) != `{"jsonrpc":"2.0","id":1,"error":{"code":2,"message":"x"}}` {
		t.Errorf("%s, %v", got, err)
	}
}
