import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openApi } from './running-api.ts';

test('a server that can work is ready, and says what it looked at', async () => {
  await using api = await openApi();
  expect((await api.get('/health/live')).json).toEqual({ status: 'live' });
  const { status, json } = await api.get('/health/ready');
  expect([status, json.status]).toEqual([200, 'ready']);
  expect(json.checks.map(({ name, ok }: { name: string; ok: boolean }) => [name, ok])).toEqual([
    ['redis', true],
    ['generation', true],
    ['store', true],
    ['settings', true],
  ]);
});

test('a server whose store is away is not ready, and jobs are accepted still', async () => {
  await using api = await openApi();
  await rm(join(api.dataDir, 'store'), { recursive: true, force: true });
  await writeFile(join(api.dataDir, 'store'), 'not a folder');
  const { status, headers, json } = await api.get('/health/ready');
  expect([status, json.code]).toEqual([503, 'not_ready']);
  expect(headers.get('retry-after')).toBe('2');
  expect(json.checks).toContainEqual({ name: 'store', ok: false, detail: expect.any(String) });
  expect(json.checks).toContainEqual({ name: 'redis', ok: true, detail: expect.any(String) });
  await api.submit();
});

test('probes share one check of the store', async () => {
  await using api = await openApi();
  expect((await api.get('/health/ready')).status).toBe(200);
  await rm(join(api.dataDir, 'store'), { recursive: true });
  await writeFile(join(api.dataDir, 'store'), 'not a folder');
  const answers = await Promise.all(Array.from({ length: 5 }, () => api.get('/health/ready')));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
});
