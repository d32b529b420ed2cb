#!/usr/bin/env node
// Starts the binary for this machine, which is in a package of its own, and ends as it ends.
'use strict'

const { spawn } = require('node:child_process')
const { constants } = require('node:os')

const name = `@scnet-mcp/${process.platform}-${process.arch}`
const file = process.platform === 'win32' ? 'scnet-mcp.exe' : 'scnet-mcp'

let binary
try {
  binary = require.resolve(`${name}/bin/${file}`)
} catch {
  console.error(
    `scnet-mcp: the package ${name} is not installed. Either there is no binary for this machine, or npm was told to leave ` +
      'optional dependencies out (--omit=optional); install without that.'
  )
  process.exit(1)
}

const child = spawn(binary, process.argv.slice(2), { stdio: 'inherit' })
child.on('error', (error) => {
  console.error(`scnet-mcp: ${binary} cannot be started: ${error.message}`)
  process.exit(1)
})
// The server finishes what it has begun before it ends, so this process waits for it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => child.kill(signal))
}
child.on('exit', (code, signal) => process.exit(signal ? 128 + constants.signals[signal] : code))
