import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { sendEvents } from '@renderyard/api/live/send-events';
import { fastify } from 'fastify';
import { expect, test, vi } from 'vitest';

const PIECE = `data: ${'x'.repeat(10_000)}\n\n`;

/** A server that has no end of pieces for whoever asks. */
async function openServer(stallMs: number) {
  const app = fastify({ forceCloseConnections: true });
  const seen = { pulled: 0, ended: false, socket: undefined as Socket | undefined, record: {} };
  async function* pieces() {
    try {
      for (;;) {
        seen.pulled += PIECE.length;
        yield PIECE;
        await new Promise(setImmediate);
      }
    } finally {
      seen.ended = true;
    }
  }
  app.get('/', async (request, reply) => {
    seen.socket = request.raw.socket;
    Object.assign(request, { record: seen.record });
    return sendEvents(request, reply, { pieces: pieces(), stallMs });
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const client = connect(port, '127.0.0.1');
  client.on('error', () => undefined);
  await once(client, 'connect');
  client.pause().write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  return {
    seen,
    client,
    [Symbol.asyncDispose]: async () => {
      client.destroy();
      await app.close();
    },
  };
}

test('for a client that takes nothing no more is asked for than a few buffers hold', async () => {
  await using server = await openServer(60_000);
  const { seen } = server;
  let [last, same] = [-1, 0];
  await vi.waitFor(
    () => {
      same = seen.pulled > 0 && seen.pulled === last ? same + 1 : 0;
      last = seen.pulled;
      expect(same).toBeGreaterThan(5);
    },
    { timeout: 20_000, interval: 50 },
  );
  const taken = (seen.socket?.bytesWritten ?? 0) - (seen.socket?.writableLength ?? 0);
  // The rest lies with the kernel, which bounds it by itself.
  expect(seen.pulled - taken).toBeLessThan(256 * 1024);
  // It goes on as soon as something is taken.
  server.client.resume();
  await vi.waitFor(() => expect(seen.pulled).toBeGreaterThan(last + 5 * 2 ** 20), { timeout: 20_000 });
  expect(seen.ended).toBe(false);
});

test('it loses its connection after the time that is given, and what was made for it ends', async () => {
  await using server = await openServer(300);
  await vi.waitFor(() => expect(server.seen.ended).toBe(true), { timeout: 20_000 });
  expect(server.seen.record).toMatchObject({ dropped: 'slow reader' });
  expect(server.seen.socket?.destroyed).toBe(true);
});

test('a client that leaves ends what was made for it', async () => {
  await using server = await openServer(60_000);
  await vi.waitFor(() => expect(server.seen.pulled).toBeGreaterThan(0), { timeout: 20_000 });
  server.client.destroy();
  await vi.waitFor(() => expect(server.seen.ended).toBe(true), { timeout: 20_000 });
  expect(server.seen.record).not.toHaveProperty('dropped');
});

test('so does one that leaves before there is anything to send', async () => {
  const app = fastify({ forceCloseConnections: true });
  const asked = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  let ended = false;
  async function* pieces() {
    try {
      asked.resolve();
      await closed.promise;
      yield PIECE;
    } finally {
      ended = true;
    }
  }
  app.get('/', async (request, reply) => {
    reply.raw.once('close', closed.resolve);
    Object.assign(request, { record: {} });
    return sendEvents(request, reply, { pieces: pieces(), stallMs: 60_000 });
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  try {
    const client = connect((app.server.address() as AddressInfo).port, '127.0.0.1');
    client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await asked.promise;
    client.destroy();
    await vi.waitFor(() => expect(ended).toBe(true), { timeout: 10_000 });
  } finally {
    await app.close();
  }
});
