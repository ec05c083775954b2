import { once } from 'node:events';
import { createServer as createTlsServer, getCACertificates, setDefaultCACertificates, type TLSSocket } from 'node:tls';
import { systemClock } from '@renderyard/shared/clock';
import { createAddressGuard } from '@renderyard/shared/webhook/address-guard';
import { parseCidrs } from '@renderyard/shared/webhook/cidr';
import type { HostLookup } from '@renderyard/shared/webhook/host-lookup';
import { createGuardedAgent } from '@renderyard/worker/webhook/guarded-connector';
import { createSender } from '@renderyard/worker/webhook/send';
import { afterEach, describe, expect, it } from 'vitest';
import { type Certificate, selfSigned } from './certificate.ts';
import { listen, openReceiver } from './receiver.ts';

const HEADERS = { 'webhook-id': 'evt_1', 'webhook-timestamp': '1', 'webhook-signature': 'v1,x' };
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';

const opened: AsyncDisposable[] = [];
const rootCertificates = getCACertificates('default');
afterEach(async () => {
  setDefaultCACertificates(rootCertificates);
  for (const each of opened.splice(0).reverse()) await each[Symbol.asyncDispose]();
});
function keep<T extends AsyncDisposable>(each: T): T {
  opened.push(each);
  return each;
}

const toHere: HostLookup = async () => ['127.0.0.1'];

function sender({ lookup = toHere, timeoutMs = 5000, connectTimeoutMs = 5000, allow = '127.0.0.0/8' } = {}) {
  const guard = createAddressGuard({ allow: parseCidrs(allow) ?? [], ownPorts: new Set() });
  const agent = createGuardedAgent({ guard, connectTimeoutMs, lookup });
  keep({ [Symbol.asyncDispose]: () => agent.destroy() });
  const { send } = createSender({ agent, timeoutMs, clock: systemClock });
  return (url: string) => send({ url, headers: HEADERS, body: '{}' });
}

describe('a connection to a receiver', () => {
  it('resolves a name once, and tries the next address where one does not answer', async () => {
    const receiver = keep(await openReceiver((socket) => socket.write(OK)));
    let asked = 0;
    const lookup: HostLookup = async () => {
      asked++;
      return ['127.0.0.2', '127.0.0.3', '127.0.0.1'];
    };
    const attempt = await sender({ lookup })(`http://receiver.example:${receiver.port}/`);
    expect(attempt.status).toBe(200);
    expect(asked).toBe(1);
  });

  it('ends in time where a name does not resolve', async () => {
    const send = sender({ lookup: () => new Promise(() => {}), connectTimeoutMs: 200 });
    const attempt = await send('http://receiver.example/');
    expect(attempt).toMatchObject({ error: 'timeout', cause: expect.stringContaining('not resolved within 200 ms') });
    expect(attempt.durationMs).toBeLessThan(3000);
  });

  it('that cannot be says the same of a name that is not there, and of one that leads where nothing may go', async () => {
    const missing = await sender({ lookup: () => Promise.reject(new Error('ENOTFOUND')) })('http://receiver.example/');
    const refused = await sender({ allow: '192.0.2.0/24' })('http://receiver.example/');
    for (const { durationMs: _, cause, ...told } of [missing, refused]) {
      expect(told).toEqual({ error: 'unreachable', answer: '' });
      expect(cause).toBeTruthy();
    }
    expect(refused.cause).toContain('receiver.example leads to 127.0.0.1');
  });
});

describe('a connection over TLS', () => {
  /** Answers every request; counts them, and the names that clients ask for. */
  async function openTls({ key, cert }: Certificate) {
    const names: (string | false | null)[] = [];
    let requests = 0;
    const server = createTlsServer({ key, cert }, (socket: TLSSocket) => {
      names.push(socket.servername);
      socket.on('error', () => socket.destroy());
      socket.on('data', () => {
        requests++;
        socket.write(OK);
      });
    });
    server.on('tlsClientError', () => {});
    const receiver = keep(await listen(server));
    return { port: receiver.port, names, requests: () => requests };
  }

  it('verifies the certificate: one that has signed itself is refused, and nothing sent', async () => {
    const receiver = await openTls(selfSigned('receiver.example'));
    const attempt = await sender()(`https://receiver.example:${receiver.port}/`);
    expect(attempt).toMatchObject({ error: 'tls_failed', answer: '', cause: expect.stringMatching(/self-signed/) });
    expect(attempt).not.toHaveProperty('status');
    expect(receiver.requests()).toBe(0);
  });

  it('is made under the name of the URL, and is that of no other', async () => {
    const certificate = selfSigned('receiver.example');
    setDefaultCACertificates([...rootCertificates, certificate.cert]);
    const receiver = await openTls(certificate);
    const send = sender();
    expect((await send(`https://receiver.example:${receiver.port}/`)).status).toBe(200);
    expect((await send(`https://receiver.example.:${receiver.port}/`)).status).toBe(200);
    expect(receiver.names).toEqual(['receiver.example', 'receiver.example']);
    expect(receiver.requests()).toBe(2);
    for (const host of ['other.example', '127.0.0.1'])
      expect(await send(`https://${host}:${receiver.port}/`)).toMatchObject({ error: 'tls_failed' });
    expect(receiver.requests()).toBe(2);
  });

  it('fails where somebody answers without it', async () => {
    const plain = keep(
      await openReceiver(() => {
        throw new Error('No request is sent in clear.');
      }),
    );
    const attempt = sender({ timeoutMs: 3000 })(`https://receiver.example:${plain.port}/`);
    await expect.poll(() => plain.open.size).toBe(1);
    for (const socket of plain.open) socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
    expect(await attempt).toMatchObject({ error: 'tls_failed' });
    await expect.poll(() => plain.open.size).toBe(0);
  });

  it('is unreachable where the connection is closed within the handshake', async () => {
    const receiver = keep(await openReceiver(() => {}));
    const attempt = sender({ timeoutMs: 3000 })(`https://receiver.example:${receiver.port}/`);
    await expect.poll(() => receiver.open.size).toBe(1);
    for (const socket of receiver.open) socket.destroy();
    expect(await attempt).toMatchObject({ error: 'unreachable' });
  });

  it('ends in time where the handshake does not begin, and closes the socket', async () => {
    const receiver = keep(await openReceiver(() => {}));
    const begun = performance.now();
    const attempt = sender({ connectTimeoutMs: 300 })(`https://receiver.example:${receiver.port}/`);
    await expect.poll(() => receiver.open.size).toBe(1);
    const [socket] = receiver.open;
    if (socket !== undefined) await once(socket, 'close');
    expect(await attempt).toMatchObject({ error: 'timeout' });
    expect(performance.now() - begun).toBeLessThan(4500);
  });
});
