import { once } from 'node:events';
import { connect } from 'node:net';
import { sendDownload } from '@renderyard/api/batches/results/download';
import { fastify } from 'fastify';
import { expect, test } from 'vitest';

const PIECE = Buffer.alloc(64 * 1024, 'x');

/** A server whose only file has no end, or breaks off after some pieces. */
async function serve({ breaksAfter = Number.POSITIVE_INFINITY } = {}) {
  const made = { pieces: 0, ended: false, record: {} as Record<string, unknown> };
  async function* pieces() {
    try {
      for (; made.pieces < breaksAfter; made.pieces++) yield PIECE;
      throw new Error('The store is away.');
    } finally {
      made.ended = true;
    }
  }
  const app = fastify({ forceCloseConnections: true });
  app.get('/file', async (request, reply) => {
    Object.assign(request, { record: made.record });
    return sendDownload(request, reply, { filename: 'Bären.csv', contentType: 'text/csv', pieces });
  });
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  return { made, url: `${url}/file`, port: Number(new URL(url).port), [Symbol.asyncDispose]: () => app.close() };
}

test('a client that leaves stops what is made for it', async () => {
  await using server = await serve();
  const leaving = new AbortController();
  const answer = await fetch(server.url, { signal: leaving.signal });
  await answer.body?.getReader().read();
  expect(server.made.ended).toBe(false);
  leaving.abort();
  await expect.poll(() => server.made.ended).toBe(true);
  expect(server.made.record).toEqual({});
});

test('no more is made than the client takes', async () => {
  await using server = await serve();
  const socket = connect(server.port, '127.0.0.1');
  socket.write('GET /file HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(socket, 'readable');
  let last = -1;
  // What the sockets hold is some megabytes; then nothing moves until the client reads.
  await expect
    .poll(
      () => {
        const before = last;
        last = server.made.pieces;
        return before === last;
      },
      { interval: 100 },
    )
    .toBe(true);
  expect(last).toBeLessThan(400);
  expect(server.made.ended).toBe(false);
  socket.resume();
  await expect.poll(() => server.made.pieces).toBeGreaterThan(last + 100);
  socket.destroy();
  await expect.poll(() => server.made.ended).toBe(true);
});

test('a file that cannot be made to its end is cut, never ended', async () => {
  await using server = await serve({ breaksAfter: 3 });
  const socket = connect(server.port, '127.0.0.1');
  socket.write('GET /file HTTP/1.1\r\nHost: x\r\n\r\n');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => void chunks.push(chunk));
  await once(socket, 'close');
  const text = Buffer.concat(chunks).toString('latin1');
  expect(text).toMatch(/^HTTP\/1\.1 200 /);
  expect(text).toContain(`filename="B_ren.csv"; filename*=UTF-8''B%C3%A4ren.csv`);
  expect(text).not.toMatch(/\r\n0\r\n\r\n$/);
  expect(server.made.record).toMatchObject({ broken_off: true, err: { message: 'The store is away.' } });
});

test('a file that cannot be begun is no answer of 200', async () => {
  await using server = await serve({ breaksAfter: 0 });
  expect((await fetch(server.url)).status).toBe(500);
});
