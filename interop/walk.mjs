// What every client does. A connection has listTools() → names, call(name, arguments, { onprogress, signal }) →
// { isError, text, structured }, close(), version, the negotiated one, where the client tells it, and library, which has the
// methods of the SDK for prompts, resources and completions, as far as the client has them, and verifySkills.
import assert from 'node:assert/strict'
import { auditedResult } from './server.mjs'

/** The steps in order. Those with an answer need a connection whose user answers so when a change asks. */
export const steps = [
  { name: 'version', run: version },
  { name: 'tools', run: tools },
  { name: 'read', run: read },
  { name: 'wrong', run: wrong },
  { name: 'prompts', run: prompts },
  { name: 'resources', run: resources },
  { name: 'templates', run: templates },
  { name: 'complete', run: complete },
  { name: 'skills', run: skills },
  { name: 'preview', run: async ({ connection }) => { await preview(connection) } },
  { name: 'delete', run: remove },
  { name: 'progress', run: progress },
  { name: 'cancel', run: cancel },
  { name: 'decline', run: declined, answer: { action: 'decline' } },
  { name: 'accept', run: accepted, answer: { action: 'accept', phrase: 'delete 1' } },
]

async function version({ connection, era }) {
  assert.equal(connection.version, { legacy: '2025-11-25', modern: '2026-07-28' }[era])
}

async function tools({ connection }) {
  const names = await connection.listTools()
  for (const name of ['list_instances', 'restart_instance', 'delete_instances']) {
    assert.ok(names.includes(name), `no ${name} in ${names}`)
  }
}

async function read({ connection }) {
  const result = await succeed(connection, 'list_instances', {})
  const { instances, regions, summary } = result.structured
  assert.equal(instances.length, regions.reduce((sum, { total }) => sum + total, 0))
  assert.equal(instances.length, summary.instances)
  for (const { id } of instances) {
    assert.match(id, /^[0-9a-f]{32}$/)
    if (result.text) assert.ok(result.text.includes(id), `${id} is not in the text`)
  }
}

async function wrong({ connection, wrongArguments = { limit: 'many' } }) {
  const result = await connection.call('list_instances', wrongArguments)
  assert.equal(result.isError, true)
  const [argument] = Object.entries(wrongArguments)
  assert.ok(argument.some(part => result.text.includes(part)), result.text)
}

async function prompts({ connection: { library } }) {
  const { prompts } = await library.listPrompts()
  assert.ok(prompts.some(({ name }) => name === 'why_not_running'), JSON.stringify(prompts))
  const { messages } = await library.getPrompt({ name: 'why_not_running', arguments: { instance: 'qwen-finetune-02' } })
  assert.ok(messages.some(({ content }) => content.text.includes('Waiting')), JSON.stringify(messages))
  await assert.rejects(library.getPrompt({ name: 'why_not_running', arguments: {} }), /instance is missing/)
}

// A client that starts a process for every read reads one resource of each kind.
async function resources({ connection: { library } }) {
  const { resources } = await library.listResources()
  assert.deepEqual(resources.slice(0, 3).map(({ uri }) => uri), ['scnet://regions', 'scnet://error-codes', 'scnet://policy'])
  for (const { uri, mimeType } of resources.slice(0, library.reads)) {
    const { contents } = await library.readResource({ uri })
    assert.equal(contents[0].uri, uri)
    if ('mimeType' in contents[0]) assert.equal(contents[0].mimeType, mimeType)
    assert.ok(contents[0].text)
  }
}

async function templates({ connection }) {
  const { id } = await some(connection, 'Waiting')
  const { resourceTemplates } = await connection.library.listResourceTemplates()
  const { contents } = await connection.library.readResource({ uri: resourceTemplates[0].uriTemplate.replace('{id}', id) })
  assert.equal(JSON.parse(contents[0].text).instance.id, id)
}

async function complete({ connection }) {
  const prompt = { ref: { type: 'ref/prompt', name: 'why_not_running' }, argument: { name: 'instance', value: 'qwen-finetune-02' } }
  const [instance] = (await connection.library.complete(prompt)).completion.values
  assert.equal(instance, 'qwen-finetune-02')
  const resource = { ref: { type: 'ref/resource', uri: 'scnet://instances/{id}' }, argument: { name: 'id', value: instance } }
  const [id] = (await connection.library.complete(resource)).completion.values
  assert.equal((await instances(connection)).find(i => i.id === id)?.name, instance)
}

async function skills({ connection: { library } }) {
  const reports = await library.verifySkills()
  assert.ok(reports.length > 2, `${reports.length} skills`)
  for (const report of reports) assert.equal(report.outcome, 'verified', JSON.stringify(report))
}

async function preview(connection) {
  const { id } = await some(connection, 'Completed')
  const { structured } = await succeed(connection, 'delete_instances', { instance_ids: [id] })
  assert.equal(structured.state, 'confirmation_required')
  assert.ok(structured.preview.token)
  assert.ok(await listed(connection, id), 'a preview deleted')
  return { id, token: structured.preview.token }
}

async function remove({ connection, server }) {
  const { id, token } = await preview(connection)
  const confirmed = { instance_ids: [id], confirm: true, preview_token: token }
  const { structured } = await succeed(connection, 'delete_instances', confirmed)
  assert.equal(structured.state, 'done')
  assert.equal(structured.targets[0].outcome, 'deleted')
  assert.equal(await listed(connection, id), false)
  const audited = await auditedResult(server, 'delete_instances', id)
  assert.equal(audited.transport, server.transport, 'the client took another way')
}

async function progress({ connection }) {
  const { id } = await some(connection, 'Terminated')
  const seen = []
  const restart = { instance_id: id, confirm: true, wait_seconds: 4 }
  const { structured } = await succeed(connection, 'restart_instance', restart, { onprogress: p => seen.push(p) })
  const before = seen.length
  assert.equal(structured.targets[0].id, id)
  await connection.listTools()
  assert.equal(seen.length, before, 'progress came after the result')
  assert.ok(before >= 2, `${before} progress notifications`)
  seen.forEach(({ progress, total }, i) => {
    assert.ok(i === 0 || progress > seen[i - 1].progress, `progress does not rise: ${JSON.stringify(seen)}`)
    assert.equal(total, 4)
  })
}

async function cancel({ connection, server }) {
  const { id } = await some(connection, 'Failed')
  const abort = new AbortController()
  const restart = { instance_id: id, confirm: true, wait_seconds: 50 }
  await assert.rejects(connection.call('restart_instance', restart, { onprogress: () => abort.abort(), signal: abort.signal }))
  assert.ok(abort.signal.aborted, 'the call failed before it was cancelled')
  // A call that goes on sees the instance Running, and ends with the state done.
  const result = await auditedResult(server, 'restart_instance', id)
  assert.equal(result.state, 'waiting')
  assert.ok(await listed(connection, id))
}

async function declined({ connection, asked }) {
  const { id } = await some(connection, 'Running')
  const result = await connection.call('delete_instances', { instance_ids: [id], confirm: true })
  askedOnce(asked, id)
  assert.equal(result.isError, true)
  assert.match(result.text, /said no/)
  assert.ok(await listed(connection, id), 'deleted although the user said no')
}

async function accepted({ connection, asked }) {
  const { id } = await some(connection, 'Running')
  const { structured } = await succeed(connection, 'delete_instances', { instance_ids: [id], confirm: true })
  askedOnce(asked, id)
  assert.equal(structured.state, 'done')
  assert.equal(await listed(connection, id), false)
}

function askedOnce(asked, id) {
  assert.equal(asked.length, 1, `asked ${asked.length} times`)
  assert.ok(asked[0].message.includes(id), asked[0].message)
}

/**
 * Makes what a client's elicitation handler does: it notes the question in asked and answers it, with the phrase in the
 * first field of the form.
 */
export function respond(answer, asked) {
  return ({ params }) => {
    asked.push(params)
    if (answer.action !== 'accept') return { action: answer.action }
    const [field] = Object.keys(params.requestedSchema.properties)
    return { action: answer.action, content: { [field]: answer.phrase } }
  }
}

async function succeed(connection, name, args, options) {
  const result = await connection.call(name, args, options)
  assert.ok(!result.isError, result.text)
  return result
}

async function instances(connection) {
  return (await succeed(connection, 'list_instances', {})).structured.instances
}

async function some(connection, status) {
  const found = (await instances(connection)).find(i => i.status === status)
  assert.ok(found, `no instance is ${status}`)
  return found
}

async function listed(connection, id) {
  return (await instances(connection)).some(i => i.id === id)
}
