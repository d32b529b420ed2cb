// OAuth: the clients of the TypeScript SDK and mcp-remote log in at an authorization server that others wrote.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import { Client, ClientCredentialsProvider, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { login, startIssuer } from './issuer.mjs'
import { auditedResult, startServer, until } from './server.mjs'

const entries = [
  { name: 'ci', oauth: { client_id: 'ci' } },
  { name: 'ann', oauth: { sub: 'ann' }, disable_tools: ['execute_script'] },
]

/** Runs the tests with a server and an issuer of their own. Access tokens live for four seconds. */
export async function checkOAuth(t, binary, folder) {
  const issuer = await startIssuer(4)
  const callers = path.join(folder, 'callers.json')
  writeFileSync(callers, JSON.stringify({ callers: entries }), { mode: 0o600 })
  const port = await freePort()
  const url = `http://127.0.0.1:${port}/mcp`
  const server = await startServer(binary, 'http', folder, [
    '--listen', `127.0.0.1:${port}`, '--callers', callers, '--oauth-issuer', issuer.url, '--public-url', url,
  ])
  try {
    await t.test('metadata', () => metadata(url, issuer))
    await t.test('client credentials', () => clientCredentials(url, issuer))
    await t.test('a person', () => person(url, server))
    await t.test('a person with mcp-remote', () => bridge(url, folder))
    await t.test('a person who is not admitted', () => stranger(url))
    await t.test('keys are rotated', () => rotation(url, issuer))
    await t.test('the issuer is down', () => down(url, issuer))
  } finally {
    await issuer.stop()
    await server.stop()
  }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await until('port', () => server.address())
  const { port } = server.address()
  await new Promise(resolve => server.close(resolve))
  return port
}

async function metadata(url, issuer) {
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })
  assert.equal(answer.status, 401)
  const [, where] = answer.headers.get('www-authenticate').match(/resource_metadata="([^"]+)"/)
  const { resource, authorization_servers } = await (await fetch(where)).json()
  assert.equal(resource, url)
  assert.deepEqual(authorization_servers, [issuer.url])
}

const machine = (issuer, scope) =>
  new ClientCredentialsProvider({ clientId: 'ci', clientSecret: 'secret', scope, expectedIssuer: issuer.url })

async function connect(url, authProvider, options) {
  const client = new Client({ name: 'interop', version: '1' }, { capabilities: {} })
  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider, ...options })
  await client.connect(transport)
  return { client, transport }
}

async function list(client) {
  const { isError, structuredContent } = await client.callTool({ name: 'list_instances', arguments: {} })
  assert.ok(!isError)
  return structuredContent.instances
}

async function preview(client) {
  const [{ id }] = (await list(client)).filter(({ status }) => status === 'Running')
  const { structuredContent } = await client.callTool({ name: 'delete_instances', arguments: { instance_ids: [id] } })
  assert.equal(structuredContent.state, 'confirmation_required')
  return { id, token: structuredContent.preview.token }
}

async function clientCredentials(url, issuer) {
  const provider = machine(issuer, 'scnet:read')
  const { client } = await connect(url, provider)
  try {
    await list(client)
    assert.equal(provider.tokens().scope, 'scnet:read')
    await preview(client) // the client gets the further scopes by itself
    assert.match(provider.tokens().scope, /scnet:destroy/)
    const before = provider.tokens().access_token
    await until('new token after the old has expired', async () => {
      await list(client)
      return provider.tokens().access_token !== before
    })
  } finally {
    await client.close()
  }
}

/** The provider of a client that a person uses. What it would show in a browser is in authorization. */
class Chat {
  redirectUrl = 'http://127.0.0.1:9/callback'
  clientMetadata = { client_name: 'chat', redirect_uris: [this.redirectUrl], token_endpoint_auth_method: 'none' }
  clientInformation() { return { client_id: 'chat' } }
  tokens() { return this.saved }
  saveTokens(tokens) { this.saved = tokens }
  redirectToAuthorization(url) { this.authorization = url }
  saveCodeVerifier(verifier) { this.verifier = verifier }
  codeVerifier() { return this.verifier }
  saveDiscoveryState(state) { this.discovery = state }
  discoveryState() { return this.discovery }
}

/** Logs in as name and hands the client what the browser would bring back. */
async function logIn(url, chat, name) {
  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: chat })
  await assert.rejects(new Client({ name: 'interop', version: '1' }).connect(transport), UnauthorizedError)
  await transport.finishAuth((await login(chat.authorization, name)).searchParams)
  await transport.close()
}

async function person(url, server) {
  const chat = new Chat()
  await logIn(url, chat, 'ann')
  assert.equal(chat.authorization.searchParams.get('resource'), url)
  const { client, transport } = await connect(url, chat)
  try {
    await list(client)
    assert.deepEqual(chat.tokens().scope.split(' ').filter(scope => scope.startsWith('scnet:')), ['scnet:read'])
    await assert.rejects(preview(client), UnauthorizedError) // a person has to consent to more
    assert.match(chat.authorization.searchParams.get('scope'), /scnet:destroy/)
    await transport.finishAuth((await login(chat.authorization, 'ann')).searchParams)
    const { id, token } = await preview(client)
    const deleted = await client.callTool({
      name: 'delete_instances', arguments: { instance_ids: [id], confirm: true, preview_token: token },
    })
    assert.ok(!deleted.isError, JSON.stringify(deleted))
    const { tools } = await client.listTools()
    assert.ok(!tools.some(({ name }) => name === 'execute_script'))
    const before = chat.tokens().access_token
    await until('refreshed token', async () => {
      await list(client)
      return chat.tokens().access_token !== before
    })
    const record = await auditedResult(server, 'delete_instances', id)
    assert.deepEqual([record.sub, record.client_id], ['ann', 'chat'])
  } finally {
    await client.close()
  }
}

/** An IDE that knows only stdio starts mcp-remote, which registers itself and would open a browser. */
async function bridge(url, folder) {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [path.join(import.meta.dirname, 'node_modules/mcp-remote/dist/proxy.js'), url, String(await freePort())],
    env: { ...process.env, MCP_REMOTE_CONFIG_DIR: path.join(folder, 'mcp-remote'), BROWSER: 'true' },
    stderr: 'pipe',
  })
  let printed = ''
  transport.stderr.on('data', text => { printed += text })
  const client = new Client({ name: 'interop', version: '1' })
  const connected = client.connect(transport)
  connected.catch(() => {}) // it is awaited below
  try {
    const [address] = await until('address to log in at', () => printed.match(/http:\S+\/auth\?\S+/))
    assert.equal((await fetch(await login(address, 'ann'))).status, 200)
    await connected
    await list(client)
  } finally {
    await client.close()
  }
}

async function stranger(url) {
  const chat = new Chat()
  await logIn(url, chat, 'mallory')
  await assert.rejects(connect(url, chat), /403|admit/)
}

async function rotation(url, issuer) {
  issuer.rotate(600) // what comes next is not about expiry
  await until('token of the new key accepted', async () => {
    try {
      const { client } = await connect(url, machine(issuer, 'scnet:read'))
      await list(client)
      await client.close()
      return true
    } catch {
      return false // unknown keys are looked for every ten seconds
    }
  })
}

async function down(url, issuer) {
  const { client } = await connect(url, machine(issuer, 'scnet:read'))
  await issuer.stop()
  await list(client)
  await client.close()
}
