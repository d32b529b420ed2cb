// Package gosdk drives the built server with the client of the official Go SDK for MCP. It is a module of its own, so that
// the server does not depend on that SDK.
package gosdk
