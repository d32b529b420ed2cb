// A chat-ops bot without dependencies: it shows a preview to a person, acts only after a thumbs-up, and tells what is known.
import { createInterface } from 'node:readline'

const [address, request] = process.argv.slice(2) // http://127.0.0.1:8765/mcp 'delete NAME'
const tools = { delete: 'delete_instances', stop: 'stop_instances' }

// The chat: replace these two with those of your chat. Only the person who asked, or an approver, may react.
const post = text => console.log(`bot> ${text.replaceAll('\n', '\n     ')}`)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const reaction = async () => (await lines.next()).value?.trim()

/** Calls a tool. It throws if no answer came, so nothing is known; a change that threw must not be repeated. */
async function call(name, args) {
  const token = process.env.BOT_TOKEN
  const answer = await fetch(address, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } }),
    signal: AbortSignal.timeout(120_000),
  })
  const { result, error } = await answer.json()
  if (error || !result) throw new Error(error?.message ?? `status ${answer.status}`)
  return { ...result, text: result.content.map(part => part.text ?? '').join('\n'), state: result.structuredContent?.state }
}

const marks = { done: '✅', partial: '⚠️', waiting: '⏳', unknown: '❓' }

async function serve(verb, target) {
  if (!tools[verb] || !target) return post(`I can ${Object.keys(tools).join(' or ')} an instance: give its name or id.`)
  const args = { instance_ids: [target] }
  const asked = await call(tools[verb], args)
  if (asked.state !== 'confirmation_required') return post(`❌ ${asked.text}`) // an error: it says what to do
  const { preview, targets } = asked.structuredContent
  post(`${preview.effect}\n${targets.map(t => `• ${t.name} (${t.id}), ${t.status}: ${t.effect}`).join('\n')}\n👍 to do it`)
  if (await reaction() !== '👍') return post('Nothing was changed.')
  try {
    const done = await call(tools[verb], { ...args, confirm: true, preview_token: preview.token })
    post(done.state === 'confirmation_required' ? `Nothing was changed: it is not what you saw any more. Ask again.`
      : `${marks[done.state] ?? '❌'} ${done.text}`)
  } catch (problem) {
    post(`❓ No answer (${problem.message}). It may or may not have happened: look at the instance before you ask again.`)
  }
}

const [verb, ...target] = (request ?? '').split(' ')
await serve(verb, target.join(' ')).catch(problem => post(`❌ Nothing was changed: ${problem.message}`))
await lines.return()
