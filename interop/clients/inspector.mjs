// The MCP Inspector's command line.
import assert from 'node:assert/strict'
import * as commands from './commands.mjs'
import { plain } from './results.mjs'

export const name = '@modelcontextprotocol/inspector'
export const eras = ['legacy', 'modern']

export function without(_transport, era) {
  const skills = era === 'legacy' ? { skills: 'the extension belongs to the modern era' } : {}
  return { ...commands.without(), complete: 'the command has no completion', ...skills }
}

// It turns arguments into the type of the schema, and a text that is no number into null.
export const wrongArguments = { nope: 1 }

const script = '@modelcontextprotocol/inspector/clients/launcher/build/index.js'
const toolError = 5

export async function connect({ server, era }) {
  const target = server.transport === 'stdio' ? [server.command, ...server.args] : [server.url, '--transport', server.transport]
  const inspect = async (...args) => {
    const r = await commands.run(script, ['--cli', ...target, '--protocol-era', era, '--format', 'json', ...args])
    assert.ok(r.code === 0 || r.code === toolError, `exit code ${r.code}: ${r.stderr}`)
    return { code: r.code, stdout: r.stdout }
  }
  const answer = async (...args) => JSON.parse((await inspect(...args)).stdout).result
  return {
    version: (await answer('--method', 'initialize')).protocolVersion,
    // With --strict the command fails when a client of some model's vendor would refuse a schema.
    listTools: async () => (await answer('--method', 'tools/list', '--strict')).tools.map(tool => tool.name),
    call: async (name, args) => {
      const r = await inspect('--method', 'tools/call', '--tool-name', name, '--tool-args-json', JSON.stringify(args))
      const { result } = JSON.parse(r.stdout)
      assert.equal(r.code === toolError, result.isError ?? false, `exit code ${r.code}`)
      return plain(result)
    },
    library: {
      reads: 1,
      listPrompts: () => answer('--method', 'prompts/list'),
      getPrompt: ({ name, arguments: given }) => answer('--method', 'prompts/get', '--prompt-name', name,
        ...Object.entries(given).flatMap(([key, value]) => ['--prompt-args', `${key}=${value}`])),
      listResources: () => answer('--method', 'resources/list'),
      readResource: ({ uri }) => answer('--method', 'resources/read', '--uri', uri),
      listResourceTemplates: () => answer('--method', 'resources/templates/list'),
      // One line of JSON for each skill: its front matter, its address, and the digests of its files.
      verifySkills: async () => (await inspect('--method', 'skills/list', '--verify')).stdout.trim().split('\n').map(JSON.parse),
    },
    close: async () => {},
  }
}
