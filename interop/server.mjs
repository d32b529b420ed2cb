// The server under test: its process, its address, its instances and its audit log.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

const patience = 20_000 // milliseconds
const address = /http:\/\/127\.0\.0\.1:[1-9]\d*/
const running = new Set()

process.on('exit', () => running.forEach(child => child.kill('SIGKILL')))
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
 * Starts binary with args and returns what it printed on stream up to the first match of announcement, and stop. Stop throws
 * when the process does not end cleanly.
 */
async function start(binary, args, stream, announcement) {
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = once(child, 'close')
  exited.catch(() => {}) // stop throws it
  running.add(child)
  const printed = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', text => { printed[name] += text })
  const stop = async () => {
    child.kill('SIGTERM')
    const killer = setTimeout(() => child.kill('SIGKILL'), patience)
    const [code, signal] = await exited
    clearTimeout(killer)
    running.delete(child)
    if (code !== 0) throw new Error(`${args[0]} ended with ${signal ?? code}: ${printed.stderr}`)
  }
  try {
    await until(`address of ${args[0]}`, () => announcement.test(printed[stream]) || child.exitCode !== null)
    if (!announcement.test(printed[stream])) throw new Error(`${args[0]} does not tell its address`)
    return { text: printed[stream], stop }
  } catch (error) {
    await stop() // tells why, if the process ended by itself
    throw error
  }
}

/**
 * Says how a client reaches a new server that has instances of its own and keeps its state and its audit log in folder.
 * Over stdio the client starts the server, some clients for every call, so the instances are in a simulator that runs until
 * stop. Otherwise the server is started here, on a free port of loopback and with more flags, and runs until stop.
 */
export async function startServer(binary, transport, folder, more = []) {
  const auditLog = path.join(folder, 'audit.jsonl')
  if (transport === 'stdio') {
    const { text, stop } = await start(binary, ['simulator'], 'stdout', /^# The regions/m)
    const settings = [...text.matchAll(/^export (SCNET_\w+=\S+)$/gm)].map(([, setting]) => setting)
    // Clients hand few variables on, so they are in the command. The processes share tokens and the hourly limit in
    // XDG_STATE_HOME, and no two rows share it.
    const args = [...settings, `XDG_STATE_HOME=${folder}`, binary, 'serve', '--audit-log', auditLog]
    return { transport, auditLog, command: 'env', args, stop }
  }

  const listen = more.includes('--listen') ? [] : ['--listen', '127.0.0.1:0']
  const args = ['serve', '--demo', '--audit-log', auditLog, '--transport', transport, ...listen, ...more]
  const { text, stop } = await start(binary, args, 'stderr', address)
  const [origin] = text.match(address)
  try {
    await until('healthy server', () => fetch(`${origin}/healthz`).then(answer => answer.status === 200, () => false))
    return { transport, auditLog, url: origin + (transport === 'sse' ? '/sse' : '/mcp'), stop }
  } catch (error) {
    await stop()
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
