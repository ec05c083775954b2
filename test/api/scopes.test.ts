import { SCOPES, type Scope } from '@renderyard/shared/key/scope';
import { beforeAll, describe, expect, test } from 'vitest';
import { sharedApi } from './running-api.ts';

const shared = sharedApi({ env: { RENDERYARD_API_KEYS: 'ann:secret-of-ann-12345' } });
const ADMIN = { authorization: 'Bearer secret-of-ann-12345' };
const secrets = new Map<Scope, string>();

beforeAll(async () => {
  for (const scope of SCOPES) {
    const made = await shared().post('/v1/keys', { name: scope, account: 'studio', scopes: [scope] }, ADMIN);
    secrets.set(scope, made.json.secret);
  }
});
const as = (scope: Scope) => ({ authorization: `Bearer ${secrets.get(scope)}` });

/** The scope that a route needs, as docs/api.md tells it. */
function neededFor(method: string, path: string): Scope {
  if (path.startsWith('/v1/keys') || path === '/metrics') return 'admin';
  if (path.startsWith('/v1/webhooks') || path.startsWith('/v1/deliveries')) return 'webhooks';
  if (path === '/v1/credits/changes' || path === '/v1/credits/events') return 'credits';
  if (method === 'GET') return 'read';
  return path.startsWith('/v1/credits') ? 'credits' : 'submit';
}

/** Every route that asks for a key, by the document. */
async function routes(): Promise<readonly (readonly [string, string])[]> {
  const { json } = await shared().get('/openapi.json');
  return Object.entries(json.paths as Record<string, object>)
    .filter(([path]) => path.startsWith('/v1/') || path === '/metrics')
    .flatMap(([path, methods]) => Object.keys(methods).map((method) => [method.toUpperCase(), path] as const));
}

describe('every route', () => {
  test('is refused to keys without its scope, with the one that is needed, and not to others', async () => {
    const api = shared();
    const all = await routes();
    expect(all.length).toBeGreaterThan(40);
    for (const [method, path] of all) {
      const needed = neededFor(method, path);
      // Nothing lies there, so that nothing is changed where a key may pass.
      const url = path.replaceAll(/\{(\w+)\}/g, 'nothing');
      for (const scope of SCOPES) {
        const allowed = scope === needed || scope === 'admin';
        const what = `${method} ${path} with ${scope}`;
        if (allowed && path === '/v1/events') {
          // A stream, which does not end by itself.
          const stream = await fetch(new URL(url, api.url), { headers: as(scope) });
          await stream.body?.cancel();
          expect(stream.status, what).toBe(200);
          continue;
        }
        const answer = await api.call(method, url, { headers: as(scope) });
        if (allowed) expect([401, 403], what).not.toContain(answer.status);
        else {
          expect([answer.status, answer.json.code], what).toEqual([403, 'insufficient_scope']);
          expect(answer.headers.get('www-authenticate')).toBe(
            `Bearer realm="renderyard", error="insufficient_scope", scope="${needed}"`,
          );
        }
      }
    }
  });
});

test('a key that only reads sees neither what other accounts spend nor their budgets', async () => {
  const api = shared();
  const budget = await api.call('PATCH', '/v1/credits', {
    headers: { ...ADMIN, 'content-type': 'application/json' },
    body: JSON.stringify({ budgets: { ann: { total: 5 }, studio: { total: 3 } } }),
  });
  expect(budget.status).toBe(200);
  const names = async (headers: Record<string, string>) =>
    (await api.get('/v1/credits', headers)).json.keys.map(({ name }: { name: string }) => name);
  expect(await names(as('read'))).toEqual(['studio']);
  expect(await names(as('admin'))).toEqual(['ann', 'studio']);
  expect(await names(ADMIN)).toEqual(['ann', 'studio']);
});
