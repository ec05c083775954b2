import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { systemClock } from '@renderyard/shared/clock';
import { createAddressGuard } from '@renderyard/shared/webhook/address-guard';
import { parseCidrs } from '@renderyard/shared/webhook/cidr';
import { createGuardedAgent } from '@renderyard/worker/webhook/guarded-connector';
import { readAnswer } from '@renderyard/worker/webhook/read-answer';
import { readRetryAfter } from '@renderyard/worker/webhook/retry-after';
import { createSender } from '@renderyard/worker/webhook/send';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { openCanary } from './canary.ts';
import { openReceiver, type Receiver } from './receiver.ts';

const HEADERS = { 'webhook-id': 'evt_1', 'webhook-timestamp': '1614265330', 'webhook-signature': 'v1,abc' };
const NOW = Date.UTC(2026, 0, 1);
const { version } = JSON.parse(
  await readFile(new URL('../../services/worker/package.json', import.meta.url), 'utf8'),
) as { readonly version: string };

const opened: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of opened.splice(0).reverse()) await each[Symbol.asyncDispose]();
});
function keep<T extends AsyncDisposable>(each: T): T {
  opened.push(each);
  return each;
}

/** A sender that may send to this machine; names resolve to it. */
function sender({ timeoutMs = 10_000, connectTimeoutMs = 5000 } = {}) {
  const guard = createAddressGuard({ allow: parseCidrs('127.0.0.0/8') ?? [], ownPorts: new Set() });
  const agent = createGuardedAgent({ guard, connectTimeoutMs, lookup: async () => ['127.0.0.1'] });
  keep({ [Symbol.asyncDispose]: () => agent.destroy() });
  const { send } = createSender({ agent, timeoutMs, clock: { ...systemClock, now: () => NOW } });
  return (port: number, { host = '127.0.0.1', body = '{"type":"webhook.test"}' } = {}) =>
    send({ url: `http://${host}:${port}/hook?a=b`, headers: HEADERS, body });
}

const receive = async (onRequest: (socket: Socket, head: string) => void) => keep(await openReceiver(onRequest));
const answering = (answer: string): Promise<Receiver> => receive((socket) => socket.write(answer));
const ok = (body: string) => `HTTP/1.1 200 OK\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

/** Writes the text again and again, until the other side has enough. */
function drip(socket: Socket, text: string): void {
  const timer = setInterval(() => socket.write(text), 20);
  socket.once('close', () => clearInterval(timer));
}

describe('a webhook that is sent', () => {
  it('is a POST with what was given, says who sends it, and tells how it was taken', async () => {
    let request = '';
    const receiver = await receive((socket, head) => {
      request = head;
      socket.write(ok('thank you'));
    });
    const attempt = await sender()(receiver.port);
    expect(attempt).toEqual({ status: 200, durationMs: attempt.durationMs, answer: 'thank you' });
    expect(attempt.durationMs).toBeGreaterThanOrEqual(0);
    const [line, ...headers] = request.slice(0, request.indexOf('\r\n\r\n')).split('\r\n');
    expect(line).toBe('POST /hook?a=b HTTP/1.1');
    expect(headers.map((header) => header.toLowerCase())).toEqual(
      expect.arrayContaining([
        'webhook-id: evt_1',
        'webhook-timestamp: 1614265330',
        'webhook-signature: v1,abc',
        'content-type: application/json',
        'content-length: 23',
        `user-agent: renderyard/${version} (webhooks)`,
        'accept: */*',
      ]),
    );
    expect(request.endsWith('{"type":"webhook.test"}')).toBe(true);
  });

  it.each([204, 400, 404, 410, 500])('tells the status %i', async (status) => {
    const receiver = await answering(
      `HTTP/1.1 ${status} Whatever\r\n${status === 204 ? '' : 'content-length: 0\r\n'}\r\n`,
    );
    expect(await sender()(receiver.port)).toMatchObject({ status, answer: '' });
  });

  it('follows no redirect', async () => {
    const canary = await openCanary('127.0.0.1');
    if (canary === undefined) throw new Error('127.0.0.1 is on every machine.');
    keep(canary);
    for (const status of [301, 302, 303, 307, 308]) {
      const receiver = await answering(
        `HTTP/1.1 ${status} Elsewhere\r\nlocation: http://127.0.0.1:${canary.port}/\r\ncontent-length: 0\r\n\r\n`,
      );
      expect(await sender()(receiver.port)).toMatchObject({ status });
    }
    expect(canary.connections).toBe(0);
  });

  it('passes over what comes before the answer', async () => {
    const receiver = await answering(`HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${ok('done')}`);
    expect(await sender()(receiver.port)).toMatchObject({ status: 200, answer: 'done' });
  });

  it('keeps a connection for the next, and lets it go soon', async () => {
    const receiver = await answering(ok('kept'));
    const send = sender();
    for (let i = 0; i < 10; i++) await send(receiver.port);
    // The first may not be free yet when the second webhook comes.
    expect(receiver.total).toBeLessThanOrEqual(2);
    const begun = performance.now();
    await Promise.all([...receiver.open].map((socket) => once(socket, 'close')));
    expect(performance.now() - begun).toBeLessThan(10_000);
  });

  it('goes to one receiver while another of the same name does not answer', async () => {
    const silent = await receive(() => {});
    const receiver = await answering(ok('here'));
    const send = sender({ timeoutMs: 1500 });
    const stuck = Array.from({ length: 40 }, () => send(silent.port));
    expect(await send(receiver.port)).toMatchObject({ status: 200 });
    for (const attempt of await Promise.all(stuck)) expect(attempt.error).toBe('timeout');
  });
});

describe('an answer', () => {
  it('that does not begin is given up when the time is over, and its connection closed', async () => {
    const receiver = await receive(() => {});
    const attempt = await sender({ timeoutMs: 300 })(receiver.port);
    expect(attempt).toMatchObject({ error: 'timeout', answer: '' });
    expect(attempt).not.toHaveProperty('status');
    expect(attempt.durationMs).toBeGreaterThanOrEqual(295);
    expect(attempt.durationMs).toBeLessThan(5000);
    await expect.poll(() => receiver.open.size).toBe(0);
  });

  it('whose headers drip is given up just so', async () => {
    const receiver = await receive((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      drip(socket, 'x: 1\r\n');
    });
    expect(await sender({ timeoutMs: 300 })(receiver.port)).toMatchObject({ error: 'timeout' });
  });

  it.each([200, 500])('whose body drips has the status %i that it began with, within the time', async (status) => {
    const receiver = await receive((socket) => {
      socket.write(`HTTP/1.1 ${status} Slow\r\ncontent-length: 100000\r\n\r\n`);
      drip(socket, '.');
    });
    const attempt = await sender({ timeoutMs: 400 })(receiver.port);
    expect(attempt).toMatchObject({ status, answer: expect.stringMatching(/^\.+$/) });
    expect(attempt.cause).toContain('broke off');
    expect(attempt).not.toHaveProperty('error');
    expect(attempt.durationMs).toBeLessThan(5000);
    await expect.poll(() => receiver.open.size).toBe(0);
  });

  it('that is cut counts all the same', async () => {
    const receiver = await receive((socket) => {
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this');
    });
    expect(await sender()(receiver.port)).toMatchObject({ status: 200, answer: 'only this' });
  });

  it('of 100 MB is read to 64 kB, and its connection closed', async () => {
    const chunk = Buffer.alloc(64 * 1024, 'x');
    const most = 100 * 1024 * 1024;
    let taken = 0;
    const receiver = await receive((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${most}\r\n\r\n`);
      const more = () => {
        while (taken < most && !socket.destroyed) {
          taken += chunk.length;
          if (!socket.write(chunk)) return void socket.once('drain', more);
        }
      };
      more();
    });
    const attempt = await sender()(receiver.port);
    expect(attempt).toMatchObject({ status: 200, answer: 'x'.repeat(500) });
    await expect.poll(() => receiver.open.size).toBe(0);
    // What the kernel's buffers on both sides took is among it.
    expect(taken).toBeLessThan(most / 4);
  });

  it.each([
    ['that is no HTTP', 'SSH-2.0-OpenSSH_9.9\r\n\r\n'],
    ['of an unknown protocol', 'HTTP/1.1 999999 OK\r\n\r\n'],
    ['with 20 kB of headers', `HTTP/1.1 200 OK\r\n${`x: ${'y'.repeat(1000)}\r\n`.repeat(20)}\r\n`],
    ['that changes the protocol', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'],
  ])('%s is a bad one', async (_what, answer) => {
    const receiver = await answering(answer);
    const attempt = await sender({ timeoutMs: 3000 })(receiver.port);
    expect(attempt).toMatchObject({ error: 'bad_answer', answer: '' });
    expect(attempt).not.toHaveProperty('status');
  });

  it('that does not come looks the same, whether nobody listens, or the connection is closed, or reset', async () => {
    const gone = await openReceiver(() => {});
    await gone[Symbol.asyncDispose]();
    const closed = await receive((socket) => socket.end());
    const reset = await receive((socket) => socket.resetAndDestroy());
    const attempts = [await sender()(gone.port), await sender()(closed.port), await sender()(reset.port)];
    for (const { durationMs: _, cause, ...told } of attempts) {
      expect(told).toEqual({ error: 'unreachable', answer: '' });
      expect(cause).toBeTruthy();
    }
  });

  it.each([
    ['HTTP/1.1 429 Slow\r\nretry-after: 120\r\n', 120_000],
    ['HTTP/1.1 503 Later\r\nRetry-After: Thu, 01 Jan 2026 00:01:00 GMT\r\n', 60_000],
    ['HTTP/1.1 429 Slow\r\n', undefined],
    ['HTTP/1.1 503 Later\r\nretry-after: soon\r\n', undefined],
    ['HTTP/1.1 500 Oops\r\nretry-after: 120\r\n', undefined],
    ['HTTP/1.1 200 OK\r\nretry-after: 120\r\n', undefined],
  ])('%j asks to wait for %s ms', async (head, expected) => {
    const receiver = await answering(`${head}content-length: 0\r\n\r\n`);
    const attempt = await sender()(receiver.port);
    expect(attempt.retryAfterMs).toBe(expected);
    expect('retryAfterMs' in attempt).toBe(expected !== undefined);
  });
});

describe('a URL that cannot be sent to', () => {
  it.each(['', 'nonsense', 'ftp://example.com', 'http://[::1', 'http://127.0.0.1..:1/'])(
    'is unreachable as %j',
    async (url) => {
      const agent = createGuardedAgent({
        guard: createAddressGuard({ allow: [], ownPorts: new Set() }),
        connectTimeoutMs: 1000,
        lookup: () => Promise.reject(new Error('ENOTFOUND')),
      });
      keep({ [Symbol.asyncDispose]: () => agent.destroy() });
      const attempt = await createSender({ agent, timeoutMs: 1000, clock: systemClock }).send({
        url,
        headers: HEADERS,
        body: '',
      });
      expect(attempt).toMatchObject({ error: 'unreachable', answer: '' });
    },
  );
});

describe('what is kept of an answer', () => {
  const read = async (...chunks: readonly (string | Uint8Array)[]) =>
    (
      await readAnswer(
        (async function* () {
          yield* chunks.map((chunk) => Buffer.from(chunk));
        })(),
      )
    ).text;

  it('is its first 500 characters on one line', async () => {
    expect(await read('a\r\nb\tc')).toBe('a b c');
    expect(await read('ab', 'cd'.repeat(400))).toBe(`ab${'cd'.repeat(249)}`);
  });

  it('has neither control characters nor what is no UTF-8', async () => {
    expect(await read('a\u001b[31mb\u0000\u0085\u202e\u2028c')).toBe('a\ufffd[31mb\ufffd\ufffd\ufffd\ufffdc');
    expect(await read(Uint8Array.of(0x61, 0xff, 0x62))).toBe('a\ufffdb');
    // A character that came in two parts is one.
    expect(await read(Uint8Array.of(0xc3), Uint8Array.of(0xbc))).toBe('ü');
  });

  it('hides secrets, also one that the cut goes through', async () => {
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    expect(await read(`your secret is ${secret}`)).toBe('your secret is whsec_[redacted]');
    const text = await read(`${'x'.repeat(484)} ${secret}`);
    expect(text).toHaveLength(500);
    expect(text).not.toContain('MfKQ');
  });

  it('can be kept anywhere, whatever bytes came', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 700 }), { maxLength: 3 }), async (chunks) => {
        const text = await read(...chunks);
        expect(text.length).toBeLessThanOrEqual(500);
        expect(text.isWellFormed()).toBe(true);
        expect(text).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
      }),
    );
  });

  it('is what came before the answer broke off', async () => {
    const body = (async function* () {
      yield Buffer.from('begun');
      throw new Error('reset');
    })();
    expect(await readAnswer(body)).toEqual({ text: 'begun', cut: new Error('reset') });
  });

  it('ends with 64 kB, and so does reading', async () => {
    let chunks = 0;
    let left = false;
    const endless = (async function* () {
      try {
        for (;;) {
          chunks++;
          yield Buffer.alloc(1024, 'x');
        }
      } finally {
        left = true;
      }
    })();
    await readAnswer(endless);
    expect(chunks).toBe(64);
    expect(left).toBe(true);
  });
});

describe('Retry-After', () => {
  it.each([
    ['0', 0],
    ['120', 120_000],
    [' 5 ', 5000],
    ['9999999999', 9_999_999_999_000],
    ['9'.repeat(400), Number.MAX_SAFE_INTEGER],
    ['Thu, 01 Jan 2026 00:00:30 GMT', 30_000],
    ['Wed, 31 Dec 2025 23:59:30 GMT', 0],
    ['Thursday, 01-Jan-26 00:00:30 GMT', 30_000],
    ['Thu Jan  1 00:00:30 2026', 30_000],
  ])('may be %j', (header, expected) => {
    expect(readRetryAfter(header, NOW)).toBe(expected);
  });

  it.each([
    [undefined],
    [''],
    ['-5'],
    ['1.5'],
    ['1e3'],
    ['soon'],
    ['2026-01-01T00:00:30Z'],
    ['Thu, 41 Jan 2026 00:00:30 GMT'],
    [['5', '6']],
  ])('tells nothing as %j', (header) => {
    expect(readRetryAfter(header, NOW)).toBeUndefined();
  });
});
