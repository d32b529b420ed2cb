package server

import (
	"encoding/json"

	"github.com/mark3labs/mcp-go/mcp"
)

// encode writes a message as JSON, in one line. The data of a tool's result is JSON already and most of the message, so it
// is put in as it is: encoding/json would go through it again for each level that it is nested in.
func encode(message any) ([]byte, error) {
	reply, result, data := dataOf(message)
	if len(data) == 0 {
		return json.Marshal(message)
	}
	result.StructuredContent = nil
	rest, err := result.MarshalJSON() // an object that is not empty: there is always a content
	if err != nil {
		return nil, err
	}
	id, err := reply.ID.MarshalJSON()
	if err != nil {
		return nil, err
	}
	text := make([]byte, 0, len(rest)+len(data)+len(id)+100) // for what stands around them, and the line's end
	text = append(text, `{"jsonrpc":"`+mcp.JSONRPC_VERSION+`","id":`...)
	text = append(text, id...)
	text = append(text, `,"result":`...)
	text = append(text, rest[:len(rest)-1]...)
	text = append(text, `,"structuredContent":`...)
	text = append(text, data...)
	return append(text, "}}"...), nil
}

// dataOf returns the data of a message that is a tool's result; nil if there is none.
func dataOf(message any) (mcp.JSONRPCResponse, mcp.CallToolResult, json.RawMessage) {
	reply, _ := message.(mcp.JSONRPCResponse)
	result, _ := reply.Result.(*mcp.CallToolResult)
	if result == nil || len(result.RawStructuredContent) > 0 {
		return reply, mcp.CallToolResult{}, nil
	}
	data, _ := result.StructuredContent.(json.RawMessage)
	return reply, *result, data
}
