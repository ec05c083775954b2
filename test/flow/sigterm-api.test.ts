import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { type ClientRequest, get, type IncomingMessage, request } from 'node:http';
import { systemClock } from '@renderyard/shared/clock';
import { describe, expect, inject, test } from 'vitest';
import { openBatchBench, putEnd, putImage, succeeded } from '../batch-results/batch-bench.ts';
import { readZip } from '../batch-results/zip-reading.ts';
import { watchEvents } from '../live/event-client.ts';
import { startService } from '../support/processes.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { askReady, STOPPING, terminate, untilTrue, watchersUrl } from './sigterm-process.ts';
import { stopWhileRedisIsAwaited } from './sigterm-start.ts';
import { AT_ONCE_MS, keepTable, note, SAME_SIGNAL_MS } from './sigterm-table.ts';

const GRACE_MS = 5000;
/** A batch takes longer to commit on a busy machine. */
const UPLOAD_GRACE_MS = 10_000;
const LONG_GRACE_MS = 20_000;
const DELAY_MS = 2000;
/** A client that sends or takes nothing for so long is given up while the API stops. */
const STALL_MS = 1500;

keepTable();

const service = 'api';

/** An API as a process of its own, with its own keys and store, and later another on the same. */
async function open(more: Readonly<Record<string, string>> = {}) {
  const folder = await makeTemporaryFolder('sigterm');
  const env = {
    ...{ REDIS_URL: inject('redisUrl'), REDIS_PREFIX: `sigterm-${randomBytes(6).toString('hex')}`, DATA_DIR: folder },
    ...{ PORT: '0', METRICS_PORT: '0', SHUTDOWN_GRACE_MS: String(GRACE_MS), ...more },
  };
  const api = await startService({ service, env });
  return {
    api,
    url: api.url,
    stopping: () => api.untilLog((line) => line.msg === 'stopping'),
    /** On the same Redis and store. */
    another: () => startService({ service, env }),
    [Symbol.asyncDispose]: async () => {
      await api[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const submit = (url: string, headers: Readonly<Record<string, string>> = {}) =>
  fetch(`${url}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close', ...headers },
    body: '{"input":{"prompt":"A fox"}}',
  });

/** Resolves when it is over, however it ended. */
const closed = (one: ClientRequest | IncomingMessage) =>
  new Promise<void>((resolve) => {
    if (one.closed) resolve();
    one.once('close', resolve);
  });

/** Begins an upload of rows, and resolves when the API has taken it in hand. */
async function beginUpload(url: string): Promise<ClientRequest> {
  const upload = request(`${url}/v1/batches`, {
    method: 'POST',
    headers: { 'content-type': 'text/csv', expect: '100-continue' },
  });
  // One that is cut is looked at by its answer.
  upload.on('error', () => undefined);
  upload.flushHeaders();
  await once(upload, 'continue');
  upload.write('prompt\nA fox\n');
  return upload;
}

/** The phases of an API, side by side: each has a process, keys and a store of its own. */
describe.concurrent('an API that is told to stop', { timeout: 120_000 }, () => {
  test('while it waits for Redis ends at once', () => stopWhileRedisIsAwaited(service, { PORT: '0' }));

  test('with nothing to do ends at once', async () => {
    await using at = await open({ SHUTDOWN_GRACE_MS: String(LONG_GRACE_MS) });
    const end = await terminate(at.api);
    note({ service, phase: 'idle', graceMs: LONG_GRACE_MS, ...end, outcome: 'nothing to lose' }, { most: AT_ONCE_MS });
  });

  test('is not ready first, and takes work for SHUTDOWN_DELAY_MS after that', async () => {
    await using at = await open({ SHUTDOWN_DELAY_MS: String(DELAY_MS), SHUTDOWN_GRACE_MS: String(LONG_GRACE_MS) });
    expect((await fetch(`${at.url}/health/ready`)).status).toBe(200);
    const watchers = await watchersUrl(at.api);
    const ending = terminate(at.api);
    await at.stopping();
    expect(await askReady(watchers)).toEqual(STOPPING);
    const answer = await fetch(`${at.url}/health/ready`, { headers: { connection: 'close' } });
    expect([answer.status, await answer.json()]).toMatchObject([503, { code: 'not_ready', checks: STOPPING.checks }]);
    const late = await submit(at.url);
    expect(late.status).toBe(202);
    const { id } = (await late.json()) as { id: string };
    const end = await ending;
    note(
      {
        ...{ service, phase: `idle, SHUTDOWN_DELAY_MS ${DELAY_MS}`, graceMs: LONG_GRACE_MS, ...end },
        outcome: '503 first, a job that came then accepted',
      },
      { least: DELAY_MS, most: DELAY_MS + AT_ONCE_MS },
    );
    await using another = await at.another();
    expect((await fetch(`${another.url}/v1/jobs/${id}`)).status).toBe(200);
  });

  test('ends streams of events, and answers who waits for a job with the job as it is', async () => {
    await using at = await open({ SHUTDOWN_GRACE_MS: String(LONG_GRACE_MS) });
    const { id } = (await (await submit(at.url)).json()) as { id: string };
    await using events = await watchEvents({ url: at.url }, `/v1/jobs/${id}/events`);
    const waiting = submit(at.url, { prefer: 'wait=60' });
    await untilTrue('the second job is there', async () => {
      const { data } = (await (await fetch(`${at.url}/v1/jobs`)).json()) as { data: unknown[] };
      return data.length === 2;
    });
    const end = await terminate(at.api);
    const answer = await waiting;
    expect([answer.status, ((await answer.json()) as { status: string }).status]).toEqual([202, 'queued']);
    expect(await events.ended).toBe('ended');
    note(
      { service, phase: 'SSE and Prefer: wait are open', graceMs: LONG_GRACE_MS, ...end, outcome: 'both answered' },
      { most: AT_ONCE_MS },
    );
  });

  test('takes an upload that ends within the grace, and breaks off one that does not', async () => {
    await using at = await open({ SHUTDOWN_GRACE_MS: String(UPLOAD_GRACE_MS) });
    const [whole, endless] = await Promise.all([beginUpload(at.url), beginUpload(at.url)]);
    const goingOn = setInterval(() => {
      for (const upload of [whole, endless]) if (!upload.writableEnded) upload.write('A fox\n');
    }, STALL_MS / 10);
    const ending = terminate(at.api);
    await at.stopping();
    whole.end('An owl\n');
    const [[answer], [, end]] = await Promise.all([
      once(whole, 'response') as Promise<[IncomingMessage]>,
      Promise.all([closed(endless), ending]),
    ]);
    clearInterval(goingOn);
    expect(answer.statusCode).toBe(202);
    const { id } = JSON.parse((await answer.toArray()).join('')) as { id: string };
    note(
      {
        ...{ service, phase: 'two uploads in hand, one without end', graceMs: UPLOAD_GRACE_MS, ...end },
        outcome: 'the one that ended is a batch, the other is none',
      },
      // The one without end holds the stop: for the whole grace as long as its bytes are seen to come, and on a machine so
      // busy that they are not, for the silence after which a client is given up.
      { least: STALL_MS, most: UPLOAD_GRACE_MS + AT_ONCE_MS },
    );
    await using another = await at.another();
    const listed = await (await fetch(`${another.url}/v1/batches`)).json();
    expect(listed).toMatchObject({ data: [{ id }] });
  });

  test('sends images.zip to the end within the grace, and breaks off who takes nothing of it', async () => {
    await using bench = await openBatchBench();
    const rows = Array.from({ length: 30 }, (_, i) => ({ values: [`Fox ${i}`] }));
    const batch = await bench.put({ columns: ['prompt'], rows });
    const body = randomBytes(1024 * 1024);
    const images = await Promise.all(
      rows.map((_, i) => putImage(bench.store, batch.id, String(i + 1).padStart(6, '0'), body)),
    );
    await putEnd(
      bench,
      batch,
      images.map((image, i) => succeeded(i + 1, image)),
    );
    await using at = await open({ REDIS_PREFIX: bench.api.config.REDIS_PREFIX, DATA_DIR: bench.api.dataDir });
    const download = async () => {
      const [answer] = (await once(get(`${at.url}${batch.path}/images.zip`), 'response')) as [IncomingMessage];
      expect(answer.statusCode).toBe(200);
      return answer;
    };
    const [slow, endless] = await Promise.all([download(), download()]);
    endless.on('error', () => undefined);
    const ending = terminate(at.api);
    await at.stopping();
    const entries = await readZip(Buffer.concat(await slow.toArray()));
    expect(entries).toHaveLength(31);
    const end = await ending;
    endless.resume();
    await closed(endless);
    expect(endless.complete).toBe(false);
    note(
      {
        ...{ service, phase: 'two images.zip on their way, one not taken', graceMs: GRACE_MS, ...end },
        outcome: 'the one that was taken is whole, the other is seen to be cut',
      },
      { least: STALL_MS, most: GRACE_MS + AT_ONCE_MS },
    );
  });

  test('a second time ends at once', async () => {
    await using at = await open({ SHUTDOWN_GRACE_MS: String(LONG_GRACE_MS) });
    const upload = await beginUpload(at.url);
    at.api.kill('SIGTERM');
    const stopping = await at.stopping();
    await systemClock.sleep(Date.parse(String(stopping.time)) + SAME_SIGNAL_MS - Date.now());
    const end = await terminate(at.api);
    note(
      { service, phase: 'a second signal, an upload in hand', graceMs: LONG_GRACE_MS, ...end, outcome: 'no batch' },
      { most: AT_ONCE_MS, code: 1 },
    );
    upload.destroy();
  });
});
