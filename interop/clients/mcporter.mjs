// A command line that calls tools of any MCP server.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import * as commands from './commands.mjs'
import { plain } from './results.mjs'

export const name = 'mcporter'
export const eras = ['legacy']

export function without() {
  const only = 'the command knows tools and resources'
  return {
    ...commands.without(), version: 'the command does not tell the version', prompts: only, templates: only, complete: only, skills: only,
  }
}

export async function connect({ server }) {
  const target = server.transport === 'stdio'
    ? ['--stdio', server.command, ...server.args.flatMap(arg => ['--stdio-arg', arg])]
    : ['--http-url', server.url, '--allow-http']
  const porter = (...args) => commands.run('mcporter/dist/cli.js', [...args, ...target, '--name', 'scnet'])
  const resource = async (...uri) => {
    const { code, stdout, stderr } = await commands.run('mcporter/dist/cli.js',
      ['resource', 'scnet', ...uri, '--json', '--config', configuration(server)])
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout)
  }
  return {
    listTools: async () => {
      const { code, stdout, stderr } = await porter('list', '--json')
      assert.equal(code, 0, stderr)
      return JSON.parse(stdout).tools.map(tool => tool.name)
    },
    call: async (name, args) => {
      const { code, stdout, stderr } = await porter('call', name, '--args', JSON.stringify(args), '--output', 'json')
      assert.ok(stdout, stderr)
      const answer = JSON.parse(stdout)
      // A result that is no error is shown as its structured content alone.
      const result = answer.isError ? plain(answer) : { isError: false, text: '', structured: answer }
      assert.equal(code, result.isError ? 1 : 0, stderr)
      return result
    },
    library: {
      reads: 1,
      listResources: () => resource(),
      // It shows the content alone, parsed.
      readResource: async ({ uri }) => ({ contents: [{ uri, text: JSON.stringify(await resource(uri)) }] }),
    },
    close: async () => {},
  }
}

// Resources can be had only of a server that a file names.
function configuration({ transport, command, args, url, auditLog }) {
  const scnet = transport === 'stdio' ? { command, args } : { baseUrl: url, allowHttp: true }
  const file = path.join(path.dirname(auditLog), 'mcporter.json')
  writeFileSync(file, JSON.stringify({ mcpServers: { scnet } }))
  return file
}
