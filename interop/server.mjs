// The server under test: its process, its address and its audit log.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'

const patience = 20_000 // milliseconds
const running = new Set()

process.on('exit', () => running.forEach(server => server.kill('SIGKILL')))
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

/** Returns the first value of condition that counts as true. It throws when there is none within 20 seconds. */
export async function until(what, condition) {
  for (const end = Date.now() + patience; Date.now() < end; await pause(20)) {
    const value = await condition()
    if (value) return value
  }
  throw new Error(`no ${what} within ${patience / 1000} s`)
}

/**
 * Says how a client reaches a new server on simulated instances, whose audit log is auditLog. Over stdio the client starts
 * it; otherwise it is started here, on a free port of loopback, and runs until stop.
 */
export async function startServer(binary, transport, auditLog) {
  const args = ['serve', '--demo', '--audit-log', auditLog]
  if (transport === 'stdio') return { transport, auditLog, command: binary, args, stop: async () => {} }

  args.push('--transport', transport, '--listen', '127.0.0.1:0')
  const server = spawn(binary, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const exited = once(server, 'close')
  exited.catch(() => {}) // stop throws it
  running.add(server)
  let stderr = ''
  server.stderr.setEncoding('utf8').on('data', text => { stderr += text })
  const stop = async () => {
    server.kill('SIGTERM')
    const killer = setTimeout(() => server.kill('SIGKILL'), patience)
    const [code, signal] = await exited
    clearTimeout(killer)
    running.delete(server)
    if (code !== 0) throw new Error(`the server ended with ${signal ?? code}: ${stderr}`)
  }
  try {
    const address = () => stderr.match(/http:\/\/127\.0\.0\.1:[1-9]\d*/)?.[0]
    await until('address on stderr', () => address() ?? server.exitCode !== null)
    const origin = address()
    if (!origin) throw new Error('no address on stderr')
    await until('healthy server', () => fetch(`${origin}/healthz`).then(answer => answer.status === 200, () => false))
    return { transport, auditLog, url: origin + (transport === 'sse' ? '/sse' : '/mcp'), stop }
  } catch (error) {
    await stop() // tells why, if the server ended by itself
    throw error
  }
}

/** Waits for what the audit log says of the change that tool made to the instance id. */
export function auditedResult(server, tool, id) {
  return until('result in the audit log', async () => {
    const text = await readFile(server.auditLog, 'utf8').catch(() => '')
    // The last line may be half written.
    const records = text.split('\n').slice(0, -1).map(line => JSON.parse(line))
    return records.find(r => r.event === 'result' && r.tool === tool && r.targets?.[0]?.id === id)
  })
}
