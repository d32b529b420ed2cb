// The MCP Inspector's command line.
import assert from 'node:assert/strict'
import * as commands from './commands.mjs'
import { plain } from './results.mjs'

export const name = '@modelcontextprotocol/inspector'
export const eras = ['legacy', 'modern']
export const without = commands.without
// It turns arguments into the type of the schema, and a text that is no number into null.
export const wrongArguments = { nope: 1 }

const script = '@modelcontextprotocol/inspector/clients/launcher/build/index.js'
const toolError = 5

export async function connect({ server, era }) {
  const target = server.transport === 'stdio' ? [server.command, ...server.args] : [server.url, '--transport', server.transport]
  const inspect = async (...args) => {
    const r = await commands.run(script, ['--cli', ...target, '--protocol-era', era, '--format', 'json', ...args])
    assert.ok(r.code === 0 || r.code === toolError, `exit code ${r.code}: ${r.stderr}`)
    return { code: r.code, result: JSON.parse(r.stdout).result }
  }
  const { result } = await inspect('--method', 'initialize')
  return {
    version: result.protocolVersion,
    // With --strict the command fails when a client of some model's vendor would refuse a schema.
    listTools: async () => (await inspect('--method', 'tools/list', '--strict')).result.tools.map(tool => tool.name),
    call: async (name, args) => {
      const r = await inspect('--method', 'tools/call', '--tool-name', name, '--tool-args-json', JSON.stringify(args))
      assert.equal(r.code === toolError, r.result.isError ?? false, `exit code ${r.code}`)
      return plain(r.result)
    },
    close: async () => {},
  }
}
