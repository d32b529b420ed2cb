// Command scnet-mcp is an MCP server for container instances on SCNet (超算互联网).
package main

import (
	"os"

	"github.com/scnet-mcp/scnet-mcp/internal/cli"
)

func main() { os.Exit(cli.Run(os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})) }
