// A command line that calls tools of any MCP server.
import assert from 'node:assert/strict'
import * as commands from './commands.mjs'
import { plain } from './results.mjs'

export const name = 'mcporter'
export const eras = ['legacy']

export function without() {
  return { ...commands.without(), version: 'the command does not tell the version' }
}

export async function connect({ server }) {
  const target = server.transport === 'stdio'
    ? ['--stdio', server.command, ...server.args.flatMap(arg => ['--stdio-arg', arg])]
    : ['--http-url', server.url, '--allow-http']
  const porter = (...args) => commands.run('mcporter/dist/cli.js', [...args, ...target, '--name', 'scnet'])
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
    close: async () => {},
  }
}
