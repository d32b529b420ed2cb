// The first line of the TypeScript SDK, on which most clients are built.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { plain } from './results.mjs'

export const name = '@modelcontextprotocol/sdk'
export const eras = ['legacy']

export function without(transport) {
  const version = transport === 'http' ? {} : { version: 'the client tells the version over HTTP only' }
  return { ...version, skills: 'the client has no methods for skills' }
}

export async function connect({ server, elicit }) {
  const client = new Client({ name: 'interop', version: '1' }, { capabilities: elicit ? { elicitation: {} } : {} })
  if (elicit) client.setRequestHandler(ElicitRequestSchema, async request => elicit(request))
  const transport = open(server)
  await client.connect(transport)
  return {
    version: transport.protocolVersion,
    listTools: async () => (await client.listTools()).tools.map(tool => tool.name),
    call: async (name, args, options) => plain(await client.callTool({ name, arguments: args }, undefined, options)),
    library: client, // its methods for prompts, resources and completions
    close: () => client.close(),
  }
}

function open(server) {
  switch (server.transport) {
    case 'http': return new StreamableHTTPClientTransport(new URL(server.url))
    case 'sse': return new SSEClientTransport(new URL(server.url))
    default: return new StdioClientTransport({ command: server.command, args: server.args, stderr: 'ignore' })
  }
}
