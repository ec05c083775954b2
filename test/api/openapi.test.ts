import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openApi } from './running-api.ts';

const docs = await readFile(join(import.meta.dirname, '../../docs/api.md'), 'utf8');

test('the document tells every route, and its references lead somewhere', async () => {
  await using api = await openApi();
  const { status, json } = await api.get('/openapi.json');
  expect(status).toBe(200);
  expect(json.openapi).toBe('3.1.0');
  const routes = Object.entries(json.paths as Record<string, object>).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const documented = [...docs.matchAll(/^\| `((?:GET|POST|PATCH|DELETE) [^`]+)` \|/gm)].map(([, route]) => route);
  // The page and the links of the store are for browsers.
  expect(documented.filter((route) => route !== 'GET /' && route !== 'GET /store/{key}').sort()).toEqual(routes.sort());
  const references = JSON.stringify(json).matchAll(/"#\/components\/schemas\/(\w+)"/g);
  for (const [, name = ''] of references) expect(json.components.schemas).toHaveProperty(name);
  for (const method of [json.paths['/v1/jobs'].post, json.paths['/v1/jobs/{id}'].get])
    expect(method.responses).toMatchObject({
      '4XX': { content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } },
    });
});
