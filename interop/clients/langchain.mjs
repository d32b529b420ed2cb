// An agent framework's adapter: MCP tools as the framework's own tools.
import { MultiServerMCPClient } from '@langchain/mcp-adapters'

export const name = '@langchain/mcp-adapters'
export const eras = ['legacy']
// The adapter checks arguments against the schema itself, so this is one that only the server can refuse.
export const wrongArguments = { region: 'nowhere' }

export function without() {
  const asking = 'the adapter declares no elicitation'
  const only = 'the adapter knows tools and resources'
  return {
    version: 'the adapter does not tell the version', decline: asking, accept: asking,
    prompts: only, complete: only, skills: only,
  }
}

export async function connect({ server }) {
  let onprogress
  const adapter = new MultiServerMCPClient({
    mcpServers: { scnet: configuration(server) },
    onProgress: progress => onprogress?.(progress),
  })
  const tools = await adapter.getTools()
  return {
    listTools: async () => (await adapter.getTools()).map(tool => tool.name),
    call: async (name, args, options = {}) => {
      onprogress = options.onprogress
      return call(tools.find(tool => tool.name === name), args, options.signal)
    },
    library: {
      listResources: async () => ({ resources: (await adapter.listResources('scnet')).scnet }),
      listResourceTemplates: async () => ({ resourceTemplates: (await adapter.listResourceTemplates('scnet')).scnet }),
      readResource: async ({ uri }) => ({ contents: await adapter.readResource('scnet', uri) }),
    },
    close: () => adapter.close(),
  }
}

function configuration(server) {
  switch (server.transport) {
    case 'stdio': return { transport: 'stdio', command: server.command, args: server.args, stderr: 'ignore' }
    case 'sse': return { transport: 'sse', url: server.url }
    default: return { transport: 'http', url: server.url, automaticSSEFallback: false }
  }
}

// The framework throws results with isError as exceptions, and so it does its own; only the message tells them apart.
async function call(tool, args, signal) {
  try {
    const { content, artifact } = await tool.invoke({ type: 'tool_call', id: '1', name: tool.name, args }, { signal })
    const text = typeof content === 'string' ? content : content.map(block => block.text).join('\n')
    return { isError: false, text, structured: artifact.find(a => a.type === 'mcp_structured_content')?.data }
  } catch (error) {
    const [, text] = error.message.match(/returned an error: (.*)/s) ?? []
    if (text === undefined) throw error
    return { isError: true, text }
  }
}
