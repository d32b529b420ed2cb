// Drives the built server with clients that others wrote. Every client, transport and protocol era is one test.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { parseArgs } from 'node:util'
import * as inspector from './clients/inspector.mjs'
import * as langchain from './clients/langchain.mjs'
import * as mcporter from './clients/mcporter.mjs'
import * as sdkV1 from './clients/sdk-v1.mjs'
import * as sdkV2 from './clients/sdk-v2.mjs'
import { checkOAuth } from './oauth.mjs'
import { startServer } from './server.mjs'
import { checkTokens } from './tokens.mjs'
import { respond, steps } from './walk.mjs'

const { values: flags } = parseArgs({
  options: {
    binary: { type: 'string', default: path.join(import.meta.dirname, '..', 'bin', 'scnet-mcp') },
    transports: { type: 'string', default: 'stdio,http,sse' },
    only: { type: 'string', default: '' },
  },
})
const binary = path.resolve(flags.binary)
const only = new RegExp(flags.only)
const pinned = JSON.parse(readFileSync(new URL('package.json', import.meta.url))).dependencies

// Nothing of the user's settings may reach the server, and nothing of the clients' the user's home.
const home = mkdtempSync(path.join(tmpdir(), 'scnet-mcp-interop-'))
for (const name of Object.keys(process.env)) if (/^(SCNET|HUAWEICLOUD|XDG)_/.test(name)) delete process.env[name]
process.env.HOME = home
process.on('exit', () => rmSync(home, { recursive: true, force: true }))

if (only.test('tokens')) test('tokens', () => checkTokens(binary))

if (only.test('oauth')) test('oauth', t => checkOAuth(t, binary, mkdtempSync(path.join(home, 'oauth-'))))

const rows = []
const reasons = new Map() // why steps were skipped, and which
for (const client of [sdkV1, sdkV2, inspector, mcporter, langchain]) {
  for (const transport of flags.transports.split(',')) {
    for (const era of client.eras) {
      const title = `${client.name} ${pinned[client.name]} ${transport} ${era}`
      if (!only.test(title)) continue
      const row = { title }
      rows.push(row)
      test(title, t => walk(t, client, transport, era, row))
    }
  }
}

async function walk(t, client, transport, era, row) {
  const server = await startServer(binary, transport, mkdtempSync(path.join(home, 'row-')))
  let shared
  try {
    const missing = client.without(transport, era)
    for (const { name, run, answer } of steps) {
      row[name] = 'FAIL'
      await t.test(name, { skip: missing[name] ?? false }, async () => {
        const asked = []
        const connection = answer
          ? await client.connect({ server, era, elicit: respond(answer, asked) })
          : shared ??= await client.connect({ server, era })
        try {
          await run({ connection, server, era, asked, wrongArguments: client.wrongArguments })
        } finally {
          if (answer) await connection.close()
        }
        row[name] = 'ok'
      })
      if (missing[name]) {
        row[name] = '-'
        if (!reasons.has(missing[name])) reasons.set(missing[name], new Set())
        reasons.get(missing[name]).add(`${client.name} ${name}`)
      }
    }
  } finally {
    await shared?.close()
    await server.stop()
  }
}

after(() => {
  const width = Math.max(0, ...rows.map(row => row.title.length))
  const line = (first, cells) => console.log([first.padEnd(width), ...cells.map(cell => cell.padEnd(8))].join('  ').trimEnd())
  line('', steps.map(step => step.name))
  for (const row of rows) line(row.title, steps.map(step => row[step.name] ?? 'FAIL'))
  reasons.forEach((names, reason) => console.log(`- ${reason}: ${[...names].join(', ')}`))
  const passed = rows.flatMap(row => steps.filter(step => row[step.name] === 'ok')).length
  console.log(`${rows.length} combinations, ${passed} steps passed`)
  if (passed === 0) {
    console.log('nothing ran')
    process.exitCode = 1
  }
})
