import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '@renderyard/shared/store/open-store';
import { expect, test, vi } from 'vitest';
import { openFiles } from '../store/directory-bench.ts';
import { type Api, IMAGE, openApi } from './running-api.ts';

/** More than the kernel's buffers of a connection take. */
const BYTES = 20 * 2 ** 20;

/** A connection that reads nothing by itself, and is not closed when the server closes its side. */
async function open(api: Api): Promise<Socket> {
  const socket = connect({ port: Number(new URL(api.url).port), host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** Stores a large image, and gives the request for it. */
async function requestForImage(api: Api): Promise<string> {
  const store = openStore({ ...api.config, publicUrl: api.url, signingKey: new Uint8Array(32) });
  await store.put(IMAGE.key, Buffer.alloc(BYTES), { contentType: 'image/png' });
  await store.close();
  const { id } = await api.submit();
  await api.succeed(id);
  const { headers } = await api.get(`/v1/jobs/${id}/image`);
  const link = new URL(headers.get('location') ?? '');
  return `GET ${link.pathname}${link.search} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
}

const sockets = () => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;

test('a connection given up with an answer is closed, though the client keeps its side open', async () => {
  await using api = await openApi();
  const before = sockets();
  const clients = await Promise.all(Array.from({ length: 10 }, () => open(api)));
  const answers = clients.map(async (client) => {
    client.write('hello\r\n\r\n');
    let text = '';
    for await (const chunk of client.iterator({ destroyOnReturn: false })) text += String(chunk);
    return text;
  });
  for (const answer of await Promise.all(answers)) expect(answer).toMatch(/^HTTP\/1\.1 400 .*malformed_http/s);
  // Those of the clients are open still, and one or the other of Redis; with the server's own there would be ten more.
  await vi.waitFor(() => expect(sockets()).toBeLessThan(before + clients.length + 5), { timeout: 5_000 });
  for (const client of clients) client.destroy();
});

test('readers that take nothing lose their connection, and hold no file any more', async () => {
  await using api = await openApi({ stallMs: 500 });
  const request = await requestForImage(api);
  const before = sockets();
  const clients = await Promise.all(Array.from({ length: 10 }, () => open(api)));
  for (const client of clients) client.pause().write(request);
  await vi.waitFor(async () => expect(await openFiles(api.dataDir)).toHaveLength(clients.length));
  await vi.waitFor(async () => expect(await openFiles(api.dataDir)).toEqual([]), { timeout: 10_000 });
  await vi.waitFor(() => expect(sockets()).toBeLessThanOrEqual(before + clients.length), { timeout: 10_000 });
  for (const client of clients) client.destroy();
});

test('a reader that is slow, and a request that waits, are served to their end', async () => {
  await using api = await openApi({ stallMs: 600 });
  const request = await requestForImage(api);
  const waited = api.post('/v1/jobs', { input: { prompt: 'A fox' } }, { prefer: 'wait=2' });
  const client = await open(api);
  client.write(request.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
  const begun = performance.now();
  let bytes = 0;
  let next = 0;
  for await (const chunk of client) {
    bytes += (chunk as Buffer).length;
    if (bytes < next) continue;
    next = bytes + 2 ** 20;
    await sleep(100);
  }
  expect(performance.now() - begun).toBeGreaterThan(1_000);
  expect(bytes).toBeGreaterThan(BYTES);
  expect((await waited).status).toBe(202);
});

test.each([
  ['nothing', async () => ''],
  ['half a head', async () => 'GET / HTTP/1.1\r\n'],
  [
    'half a body',
    async () =>
      'POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
  ],
  ['a request whose answer it does not take', requestForImage],
  ['a whole request and no more', async () => 'GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n'],
])('a client that sends %s does not keep the server from stopping', async (_name, bytesFor) => {
  const api = await openApi();
  const bytes = await bytesFor(api);
  const client = (await open(api)).pause();
  if (bytes !== '') client.write(bytes);
  // Answered after what the other connection sent has been read.
  expect((await api.get('/health/live')).status).toBe(200);
  const begun = performance.now();
  const stopped = api.stop().then(() => 'stopped');
  expect(await Promise.race([stopped, sleep(6_000, 'still there')])).toBe('stopped');
  expect(performance.now() - begun).toBeLessThan(5_000);
  client.destroy();
  await stopped;
  await api[Symbol.asyncDispose]();
});
