// The second line of the TypeScript SDK, which speaks both protocol eras.
import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { plain } from './results.mjs'

export const name = '@modelcontextprotocol/client'
export const eras = ['legacy', 'modern']

export function without() {
  return { skills: 'the client has no methods for skills' }
}

export async function connect({ server, era, elicit }) {
  const client = new Client({ name: 'interop', version: '1' }, {
    capabilities: elicit ? { elicitation: { form: {} } } : {},
    versionNegotiation: { mode: era === 'modern' ? 'auto' : 'legacy' },
  })
  if (elicit) client.setRequestHandler('elicitation/create', async request => elicit(request))
  await client.connect(open(server))
  return {
    version: client.getNegotiatedProtocolVersion(),
    listTools: async () => (await client.listTools()).tools.map(tool => tool.name),
    call: async (name, args, options) => plain(await client.callTool({ name, arguments: args }, options)),
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
