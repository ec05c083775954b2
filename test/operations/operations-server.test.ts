import { createServer } from 'node:net';
import type { Check } from '@renderyard/shared/health/readiness';
import { createLogger } from '@renderyard/shared/logger';
import { type Exposition, startOperationsServer } from '@renderyard/shared/operations/operations-server';
import { describe, expect, test } from 'vitest';
import { sendRaw } from '../api/raw-http.ts';

const READY: Check = { name: 'redis', ok: true, detail: 'Redis can be read and written.' };
const AWAY: Check = { name: 'store', ok: false, detail: 'The object store does not answer.' };

async function open({
  checks = [READY],
  metrics,
  port = 0,
}: {
  readonly checks?: readonly Check[];
  readonly metrics?: () => Promise<Exposition | undefined>;
  readonly port?: number;
} = {}) {
  const logger = createLogger({ service: 'test', level: 'silent' });
  const server = await startOperationsServer({
    host: '127.0.0.1',
    port,
    readiness: async () => checks,
    logger,
    ...(metrics === undefined ? {} : { metrics }),
  });
  return {
    ...server,
    ask: (path: string, method = 'GET') => fetch(new URL(path, server.url), { method }),
    [Symbol.asyncDispose]: () => server.close(),
  };
}

describe('health', () => {
  test('a process that answers is alive, also where it is not ready', async () => {
    await using server = await open({ checks: [AWAY] });
    const answer = await server.ask('/health/live');
    expect([answer.status, await answer.json()]).toEqual([200, { status: 'live' }]);
  });

  test('it is ready when every check holds, and lists them', async () => {
    await using server = await open();
    const answer = await server.ask('/health/ready?verbose');
    expect([answer.status, await answer.json()]).toEqual([200, { status: 'ready', checks: [READY] }]);
    expect(answer.headers.get('content-type')).toBe('application/json');
  });

  test('one check that fails makes it not ready, with the reason', async () => {
    await using server = await open({ checks: [READY, AWAY] });
    const answer = await server.ask('/health/ready');
    expect([answer.status, await answer.json()]).toEqual([503, { status: 'not_ready', checks: [READY, AWAY] }]);
  });
});

describe('metrics', () => {
  const exposition = { contentType: 'text/plain; version=0.0.4', body: 'up 1\n' };

  test('are given as they are, in their format', async () => {
    await using server = await open({ metrics: async () => exposition });
    const answer = await server.ask('/metrics');
    expect([answer.status, await answer.text()]).toEqual([200, 'up 1\n']);
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4');
  });

  test.each([
    ['there are none', {}],
    ['there are none yet', { metrics: async () => undefined }],
  ])('%s: 404', async (_, options) => {
    await using server = await open(options);
    expect((await server.ask('/metrics')).status).toBe(404);
  });

  test('that cannot be gathered are an error of the server, which goes on', async () => {
    await using server = await open({ metrics: () => Promise.reject(new Error('broken')) });
    const answer = await server.ask('/metrics');
    expect([answer.status, await answer.text()]).toEqual([500, 'This could not be found out.\n']);
    expect((await server.ask('/health/live')).status).toBe(200);
  });
});

test('only GET and HEAD of the three paths are answered', async () => {
  await using server = await open();
  const answers = await Promise.all([
    server.ask('/health/ready', 'POST'),
    server.ask('/health/ready', 'HEAD'),
    server.ask('/'),
    server.ask('/health/ready/'),
  ]);
  expect(answers.map(({ status }) => status)).toEqual([405, 200, 404, 404]);
  expect(answers[0]?.headers.get('allow')).toBe('GET, HEAD');
  expect(await answers[1]?.text()).toBe('');
});

test('a body is not waited for, and nothing after it is taken for a request', async () => {
  await using server = await open();
  const hidden = 'GET /health/ready HTTP/1.1\r\nhost: a\r\n\r\n';
  const answer = await sendRaw(
    server.url,
    `GET /health/live HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n${hidden}`,
  );
  expect([answer.status, answer.body]).toEqual([200, '{"status":"live"}']);
  expect(answer.head).toMatch(/connection: close/i);
});

test('closing breaks off connections that are kept open', async () => {
  const server = await open();
  await (await server.ask('/health/live')).text();
  await server.close();
  await expect(server.ask('/health/live')).rejects.toThrow();
});

test('a port that is taken is an error that names the setting', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => other.once('listening', done));
  const { port } = other.address() as { port: number };
  await expect(open({ port })).rejects.toThrow(`METRICS_PORT ${port} is taken by another process.`);
  await new Promise((done) => other.close(done));
});
