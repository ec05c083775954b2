import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { type BatchApi, openBatchApi } from './uploading.ts';

const HEAD =
  'POST /v1/batches HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n';
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

/** A sender that does what a test says, and what it is answered. */
async function openSender(api: BatchApi) {
  const socket = connect({ port: Number(new URL(api.url).port), host: '127.0.0.1' });
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  let text = '';
  socket.on('data', (data) => {
    text += String(data);
  });
  await once(socket, 'connect');
  return {
    send: (bytes: string) => void socket.write(bytes),
    leave: () => socket.destroy(),
    answered: () => vi.waitFor(() => expect(text).toMatch(/^HTTP\/1\.1 \d+/), { timeout: 15_000 }).then(() => text),
    closed: () => closed,
  };
}

const begun = (api: BatchApi) =>
  vi.waitFor(async () => expect(await api.keys('uploads/')).toHaveLength(1), { timeout: 20_000 });
const nothing = (api: BatchApi) => vi.waitFor(async () => expect(await api.keys()).toEqual([]), { timeout: 20_000 });

test('a sender that goes away in the middle makes no batch, and leaves nothing', async () => {
  await using api = await openBatchApi();
  const sender = await openSender(api);
  sender.send(HEAD + chunk(`prompt\n${'A fox\n'.repeat(3000)}`));
  await begun(api);
  await vi.waitFor(async () => expect((await api.keys('batches/')).length).toBeGreaterThan(0), { timeout: 20_000 });
  sender.leave();
  await nothing(api);
  expect((await api.get('/v1/batches')).json.data).toEqual([]);
  await vi.waitFor(() =>
    expect(api.logs).toContainEqual(expect.objectContaining({ route: '/v1/batches', status: 499, method: 'POST' })),
  );
});

test('a sender that falls silent is given up, and told', async () => {
  await using api = await openBatchApi({ requestMs: 700 });
  const sender = await openSender(api);
  sender.send(HEAD + chunk('prompt\nA fox\n'));
  const answer = await sender.answered();
  expect(answer).toMatch(/^HTTP\/1\.1 408 .*"code":"request_timeout"/s);
  await nothing(api);
  await sender.closed();
});

test('a sender that is slow but never silent gets its batch, though others are cut after that time', async () => {
  await using api = await openBatchApi({ requestMs: 700 });
  const [sender, other] = [await openSender(api), await openSender(api)];
  const started = performance.now();
  other.send(
    'POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{',
  );
  sender.send(HEAD + chunk('prompt\n'));
  for (let row = 0; row < 8; row++) {
    await sleep(250);
    sender.send(chunk(`A fox ${row}\n`));
    if (row < 6) other.send(' ');
  }
  sender.send('0\r\n\r\n');
  expect(await other.answered()).toMatch(/^HTTP\/1\.1 408 .*request_timeout/s);
  expect(await sender.answered()).toMatch(/^HTTP\/1\.1 202 .*"total":8/s);
  expect(performance.now() - started).toBeGreaterThan(1_400);
  sender.leave();
});

test('a refused sender that goes on sending is answered first, and cut then', async () => {
  await using api = await openBatchApi();
  const sender = await openSender(api);
  sender.send(HEAD.replace('text/csv', 'text/html') + chunk('x'.repeat(1000)));
  expect(await sender.answered()).toMatch(/^HTTP\/1\.1 415 /);
  const sending = setInterval(() => sender.send(chunk('x'.repeat(1000))), 50);
  await sender.closed();
  clearInterval(sending);
});

test('a sender that is refused in the middle can go on to its end, too', async () => {
  await using api = await openBatchApi();
  const sender = await openSender(api);
  sender.send(HEAD + chunk('text,steps\nA fox,20\n'));
  expect(await sender.answered()).toMatch(/^HTTP\/1\.1 400 .*"code":"no_prompt"/s);
  for (let i = 0; i < 40; i++) sender.send(chunk('x'.repeat(100_000)));
  sender.send('0\r\n\r\nGET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await vi.waitFor(async () => expect(await sender.answered()).toMatch(/HTTP\/1\.1 200 .*"live"/s), { timeout: 4_000 });
  sender.leave();
});

test('a sender that is refused early can go on to its end and ask again on the same connection', async () => {
  await using api = await openBatchApi();
  const sender = await openSender(api);
  sender.send(HEAD.replace('/v1/batches', '/v1/batches?budget=0') + chunk('prompt\n'));
  expect(await sender.answered()).toMatch(/^HTTP\/1\.1 400 /);
  sender.send('0\r\n\r\nGET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await vi.waitFor(async () => expect(await sender.answered()).toMatch(/HTTP\/1\.1 200 .*"live"/s));
  sender.leave();
});
