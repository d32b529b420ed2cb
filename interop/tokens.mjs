// Counts what a model is shown of the tools with a real tokenizer. The numbers to hold are those of the tests in Go, which
// estimate tokens; this checks the estimate too.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base'

const budget = JSON.parse(readFileSync(new URL('../testdata/token-budget.json', import.meta.url)))

/** Fails when the tools of the binary cost more than they may, or when the estimate of it is 5 % off. */
export function checkTokens(binary) {
  const all = list(binary, '--demo')
  const width = Math.max(...all.map(tool => tool.name.length))
  for (const { name, tokens, bytes } of all) {
    console.log(`${name.padEnd(width)}  ${String(tokens).padStart(4)} tokens  ${String(bytes).padStart(5)} bytes`)
  }
  const withoutKeys = sum(list(binary), 'tokens')
  const average = sum(all, 'tokens') / all.length
  console.log(`${average.toFixed(0)} tokens a tool; ${withoutKeys} for what needs no Huawei Cloud keys`)
  assert.ok(average <= budget.average, `${average} tokens a tool, at most ${budget.average} are allowed`)
  assert.ok(withoutKeys <= budget.without_huawei_keys, `${withoutKeys} tokens, at most ${budget.without_huawei_keys} are allowed`)
  const ratio = sum(all, 'estimate') / sum(all, 'tokens')
  assert.ok(Math.abs(ratio - 1) <= 0.05, `the estimate is ${ratio.toFixed(3)} of the tokens; set the characters in testdata/token-budget.json`)
}

function list(binary, ...flags) {
  const { tools } = JSON.parse(execFileSync(binary, ['tools', '--json', ...flags]))
  assert.ok(tools.length > 0, 'no tools')
  return tools.map(({ name, description, inputSchema }) => {
    const shown = [name, description, JSON.stringify(inputSchema)]
    const ascii = shown.join('').replace(/[^\x00-\x7f]/g, '').length
    const other = [...shown.join('')].length - ascii
    return {
      name,
      bytes: Buffer.byteLength(shown.join('')),
      tokens: shown.reduce((n, text) => n + countTokens(text), 0),
      estimate: ascii / budget.ascii_characters + other / budget.other_characters,
    }
  })
}

function sum(tools, field) {
  return tools.reduce((n, tool) => n + tool[field], 0)
}
