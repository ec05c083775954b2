import { once } from 'node:events';
import { createServer } from 'node:net';
import { systemClock } from '@renderyard/shared/clock';
import { describe, expect, inject, test } from 'vitest';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { askReady, startWithoutWaiting, terminate, untilTrue, watchersUrl } from './sigterm-process.ts';
import { stopWhileRedisIsAwaited } from './sigterm-start.ts';
import { AT_ONCE_MS, keepTable, note, SAME_SIGNAL_MS, START_END_MS } from './sigterm-table.ts';
import { callInFlight, goesOn, openSigtermYard, tellsThatItStops } from './sigterm-yard.ts';

/** One that is outlasted, and one that never is. */
const GRACE_MS = 1500;
const LONG_GRACE_MS = 20_000;

keepTable();

/** The phases of a worker, side by side: each has processes, keys and a store of its own. */
describe.concurrent('a worker that is told to stop', { timeout: 120_000 }, () => {
  const service = 'worker';

  test('while it waits for Redis ends at once', () => stopWhileRedisIsAwaited(service, { SEGMIND_API_KEY: 'SG_1' }));

  test('while Redis is rebuilt from a store that hangs ends at once, and another can take over', async () => {
    const silent = createServer((socket) => void socket.on('error', () => undefined)).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as { port: number };
    const folder = await makeTemporaryFolder('sigterm');
    const env = {
      ...{ REDIS_URL: inject('redisUrl'), REDIS_PREFIX: `sigterm-${process.pid}-${Date.now()}` },
      ...{ S3_BUCKET: 'b', AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${port}`, AWS_REGION: 'us-east-1' },
      ...{ AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b', SEGMIND_API_KEY: 'SG_1', S3_FORCE_PATH_STYLE: 'true' },
      ...{ DATA_DIR: folder, METRICS_PORT: '0', SECRET_KEY: Buffer.alloc(32).toString('base64') },
    };
    {
      await using worker = startWithoutWaiting(service, env);
      const url = await watchersUrl(worker);
      await untilTrue('Redis is being rebuilt', async () =>
        (await askReady(url)).checks.some(({ detail }) => detail.startsWith('rebuilding')),
      );
      const end = await terminate(worker);
      note(
        { service, phase: 'Redis is rebuilt, the store hangs', graceMs: 25_000, ...end, outcome: 'lock released' },
        { most: START_END_MS },
      );
    }
    const { S3_BUCKET: _, ...withFolder } = env;
    await using next = startWithoutWaiting(service, withFolder);
    await next.untilLog('the worker takes tickets');
    silent.close();
  });

  test('with nothing to do ends at once', async () => {
    await using at = await openSigtermYard({ graceMs: LONG_GRACE_MS });
    const url = await watchersUrl(at.worker);
    await untilTrue('the worker is ready', async () => (await askReady(url)).status === 200);
    expect((await askReady(url)).checks.at(-1)).toMatchObject({ name: 'tickets', ok: true });
    const end = await terminate(at.worker);
    note({ service, phase: 'idle', graceMs: LONG_GRACE_MS, ...end, outcome: 'nothing to lose' }, { most: AT_ONCE_MS });
  });

  test('during a call lets it end', async () => {
    await using at = await openSigtermYard({
      simulator: { latencyMs: 1500, latencyP95Ms: 1600 },
      graceMs: LONG_GRACE_MS,
    });
    const id = await callInFlight(at.yard);
    const [end] = await Promise.all([terminate(at.worker), tellsThatItStops(at.worker)]);
    note(
      { service, phase: 'a call is in flight', graceMs: LONG_GRACE_MS, ...end, outcome: 'image stored, billed once' },
      { most: 1500 + AT_ONCE_MS },
    );
    const [job] = await at.yard.jobs([id]);
    expect(job).toMatchObject({ status: 'succeeded', attempts: 1, uncertain: 0 });
    expect((await at.yard.upstream.ledger()).billed_count).toBe(1);
  });

  test('during a call that outlasts the grace breaks it off and counts it as uncertain', async () => {
    await using at = await openSigtermYard({ graceMs: GRACE_MS });
    await at.yard.upstream.fault({ effect: { kind: 'hang', billed: false }, times: 1 });
    const id = await callInFlight(at.yard);
    const [end] = await Promise.all([terminate(at.worker), tellsThatItStops(at.worker)]);
    note(
      { service, phase: 'a call hangs', graceMs: GRACE_MS, ...end, outcome: 'uncertain, made again, billed once' },
      { least: GRACE_MS, most: GRACE_MS + AT_ONCE_MS },
    );
    expect((await at.yard.credits()).uncertain.calls.map(({ how }) => how)).toEqual(['shutdown']);
    await goesOn(at.yard, id);
  });

  test('during a hold ends at once, and the work goes on after it', async () => {
    await using at = await openSigtermYard({ graceMs: LONG_GRACE_MS });
    expect((await at.yard.call('POST', '/v1/credits/hold')).status).toBe(200);
    const [id = ''] = await at.yard.submit(['A fox']);
    expect((await at.yard.jobs([id]))[0]?.hold?.reason).toBe('operator');
    const end = await terminate(at.worker);
    note(
      { service, phase: 'all work is held', graceMs: LONG_GRACE_MS, ...end, outcome: 'held still, then billed once' },
      { most: AT_ONCE_MS },
    );
    expect((await at.yard.call('POST', '/v1/credits/resume')).status).toBe(200);
    await goesOn(at.yard, id);
  });

  test('a second time ends at once, and its call is found to be lost', async () => {
    await using at = await openSigtermYard({ graceMs: LONG_GRACE_MS });
    await at.yard.upstream.fault({ effect: { kind: 'hang', billed: false }, times: 1 });
    await callInFlight(at.yard);
    at.worker.kill('SIGTERM');
    const stopping = await at.worker.untilLog((line) => line.msg === 'stopping');
    await systemClock.sleep(Date.parse(String(stopping.time)) + SAME_SIGNAL_MS - Date.now());
    const end = await terminate(at.worker);
    note(
      { service, phase: 'a second signal, a call hangs', graceMs: LONG_GRACE_MS, ...end, outcome: 'the call is lost' },
      {
        most: AT_ONCE_MS,
        code: 1,
      },
    );
  });
});
