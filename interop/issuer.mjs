// An authorization server on loopback, and the person who logs in there without a browser.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { Provider } from 'oidc-provider'

export const scopes = ['scnet:read', 'scnet:change', 'scnet:destroy']

/**
 * Starts an issuer that gives access tokens, which live for lifetime seconds, to the client ci with its secret, to the client
 * chat for whoever logs in, and to clients that register themselves. Rotate replaces its keys, and sets how long further tokens
 * live; stop ends it.
 */
export async function startIssuer(lifetime) {
  let serve
  const server = createServer((request, response) => serve(request, response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${server.address().port}`
  let keys = 0
  const rotate = lifetime => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const key = { ...privateKey.export({ format: 'jwk' }), kid: `key-${++keys}`, alg: 'RS256', use: 'sig' }
    const provider = new Provider(url, settings(key, lifetime))
    provider.on('server_error', (_, error) => console.error(error))
    serve = provider.callback()
  }
  rotate(lifetime)
  const stop = async () => {
    server.closeAllConnections()
    if (server.listening) await new Promise(resolve => server.close(resolve))
  }
  return { url, rotate, stop }
}

function settings(key, lifetime) {
  const resource = { scope: scopes.join(' '), accessTokenFormat: 'jwt', accessTokenTTL: lifetime, jwt: { sign: { alg: 'RS256' } } }
  return {
    jwks: { keys: [key] },
    cookies: { keys: ['of this test'] },
    scopes: ['openid', 'offline_access', ...scopes],
    clients: [
      { client_id: 'ci', client_secret: 'secret', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] },
      {
        client_id: 'chat', token_endpoint_auth_method: 'none', application_type: 'native',
        grant_types: ['authorization_code', 'refresh_token'], redirect_uris: ['http://127.0.0.1/callback'],
      },
    ],
    features: {
      clientCredentials: { enabled: true },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        getResourceServerInfo: (_, indicator) => ({ ...resource, audience: indicator }),
        useGrantedResource: () => true,
      },
    },
    issueRefreshToken: async (_, client) => client.grantTypeAllowed('refresh_token'),
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  }
}

/** Logs in as person at an authorization URL, consents, and returns where the browser would then be sent. */
export async function login(address, person) {
  const jar = new Map()
  let request = { url: String(address) }
  for (let step = 0; step < 20; step++) {
    const response = await fetch(request.url, {
      method: request.form ? 'POST' : 'GET',
      body: request.form,
      redirect: 'manual',
      headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') },
    })
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = cookie.match(/^([^=]+)=([^;]*)/)
      jar.set(name, value)
    }
    const next = response.headers.get('location')
    if (next) {
      const url = new URL(next, request.url)
      if (url.origin !== new URL(address).origin) return url
      request = { url: url.href }
      continue
    }
    const page = await response.text()
    const [, action] = page.match(/action="([^"]+)"/) ?? assert.fail(`no form: HTTP ${response.status} ${page.slice(0, 500)}`)
    const [, prompt] = page.match(/name="prompt" value="([^"]+)"/)
    request = { url: new URL(action, request.url).href, form: new URLSearchParams({ prompt, login: person, password: 'any' }) }
  }
  assert.fail('the login does not end')
}
