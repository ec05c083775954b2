import type { Job } from '@renderyard/shared/job/job';
import { describe, expect, test } from 'vitest';
import { createRig, nano, type Rig } from '../support/rig.ts';

type Fault = Parameters<Rig['upstream']['fault']>[0]['effect'];

/** Submits a job that meets the fault and one that does not, and waits until both have ended. */
async function meet(rig: Rig, effect: Fault, times?: number): Promise<{ odd: Job; other: Job; calls: number }> {
  await rig.upstream.fault({ match: { prompt: 'odd' }, effect, ...(times === undefined ? {} : { times }) });
  const [odd = '', other = ''] = await rig.submit(['odd', 'other']);
  const [first, second] = await rig.ended([odd, other]);
  if (first === undefined || second === undefined) throw new Error('both jobs end');
  const calls = (await rig.upstream.allCalls()).filter(
    (call) => call.endpoint === 'render' && call.prompt === 'odd',
  ).length;
  return { odd: first, other: second, calls };
}

/** The upstream's id of the call that gave the job its image, as our log has it. */
function last(job: Job, rig: Rig): unknown {
  return rig.logs.filter((line) => line.job === job.id && line.outcome === 'image').at(-1)?.upstream_request;
}

describe('an answer that fails its job at once', () => {
  test.each([
    [
      { kind: 'status', status: 400, message: 'steps must be at least 10' },
      'upstream_rejected',
      /400.*steps must be at least 10/,
    ],
    [{ kind: 'status', status: 422, message: 'bad sampler' }, 'upstream_rejected', /422.*bad sampler/],
    [{ kind: 'status', status: 405 }, 'upstream_rejected', /405.*defect of Renderyard/],
    [{ kind: 'status', status: 406, reason: 'parameter' }, 'upstream_rejected', /406/],
    [{ kind: 'status', status: 406, reason: 'content_type' }, 'upstream_rejected', /content type.*406/],
  ] as const)('%j', async (effect, code, detail) => {
    await using rig = await createRig();
    const { odd, other, calls } = await meet(rig, effect as Fault);
    expect(odd).toMatchObject({ status: 'failed', attempts: 1, cost: 0, error: { code } });
    expect(odd.error?.detail).toMatch(detail);
    expect(odd.error?.detail).not.toMatch(/<|html/i);
    expect(calls).toBe(1);
    expect(other.status).toBe('succeeded');
    expect((await rig.upstream.ledger()).billed_count).toBe(1);
  });
});

describe('an answer that is tried again', () => {
  test.each([500, 502, 503, 504, 408, 520])('%i, until it succeeds', async (status) => {
    await using rig = await createRig();
    const { odd, calls } = await meet(rig, { kind: 'status', status }, 3);
    expect(odd).toMatchObject({ status: 'succeeded', attempts: 4, uncertain: status > 500 ? 3 : 0 });
    expect(calls).toBe(4);
  });

  test.each([500, 503])('%i, RENDER_ATTEMPTS times at most', async (status) => {
    await using rig = await createRig();
    const { odd, other, calls } = await meet(rig, { kind: 'status', status });
    expect(odd).toMatchObject({ status: 'failed', attempts: 5, error: { code: 'upstream_failed' } });
    expect(calls).toBe(5);
    expect(other.status).toBe('succeeded');
  });

  test('a gateway’s word counts as uncertain and is listed', async () => {
    await using rig = await createRig();
    await meet(rig, { kind: 'status', status: 504 }, 2);
    const books = await rig.ledger.snapshot(Date.now());
    expect(books.uncertainCalls.map((call) => call.how)).toEqual(['status_504', 'status_504']);
    expect(books.uncertain).toBe(books.uncertainCalls.reduce((sum, call) => sum + call.estimate, 0));
  });
});

describe('an answer that nobody can know', () => {
  test.each([
    ['a hang that was billed', { kind: 'hang', billed: true }, 'timeout'],
    ['a hang that was not', { kind: 'hang' }, 'timeout'],
    ['a reset before any byte', { kind: 'reset', billed: true }, 'reset'],
    ['a body cut short of its length', { kind: 'cut', by: 'length' }, 'cut'],
    ['a body cut between chunks', { kind: 'cut', by: 'chunk' }, 'cut'],
    ['a body that just ends', { kind: 'cut', by: 'close' }, 'cut'],
    ['HTML with 200', { kind: 'html' }, 'bad_image'],
    ['JSON with 200', { kind: 'json' }, 'bad_image'],
    ['a drip that never ends in time', { kind: 'drip', chunk_bytes: 10, interval_ms: 500 }, 'timeout'],
  ] as const)('%s: the job is called again once and the first call is listed', async (_, effect, how) => {
    await using rig = await createRig({ settings: { SEGMIND_TIMEOUT_MS: '1000' } });
    const { odd, calls } = await meet(rig, effect, 1);
    expect(odd).toMatchObject({ status: 'succeeded', attempts: 2, uncertain: 1 });
    expect(calls).toBe(2);
    const { uncertainCalls } = await rig.ledger.snapshot(Date.now());
    expect(uncertainCalls).toMatchObject([{ job: odd.id, how }]);
    const paid = (await rig.upstream.wholeLedger()).filter((entry) => entry.request_id === last(odd, rig));
    expect(odd.cost).toBe((uncertainCalls[0]?.estimate ?? Number.NaN) + nano(paid[0]?.cost_exact ?? ''));
  });

  test('the second time the job fails, and says that it may have been billed', async () => {
    await using rig = await createRig();
    const { odd, other, calls } = await meet(rig, { kind: 'cut', by: 'length' });
    expect(odd).toMatchObject({ status: 'failed', attempts: 2, uncertain: 2, error: { code: 'outcome_uncertain' } });
    expect(odd.error?.detail).toMatch(/may have been billed/);
    expect(calls).toBe(2);
    expect(other.status).toBe('succeeded');
  });

  test('with UNCERTAIN_RETRIES 0 the job fails the first time', async () => {
    await using rig = await createRig({ settings: { UNCERTAIN_RETRIES: '0' } });
    const { odd, calls } = await meet(rig, { kind: 'html' });
    expect(odd).toMatchObject({ status: 'failed', attempts: 1, uncertain: 1, error: { code: 'bad_image' } });
    expect(calls).toBe(1);
  });

  test('three in a row hold the queue; a trial that succeeds lets it go on', async () => {
    await using rig = await createRig({ settings: { SEGMIND_CONCURRENCY: '1', UNCERTAIN_RETRIES: '0' } });
    await rig.upstream.fault({ times: 3, effect: { kind: 'cut', by: 'length' } });
    const ids = await rig.submit(['a', 'b', 'c', 'd', 'e', 'f']);
    await rig.until('the queue is held', async () =>
      (await rig.ledger.holds(Date.now())).some((hold) => hold.name === 'upstream'),
    );
    const jobs = await rig.ended(ids);
    expect(jobs.map((job) => job.status).sort()).toEqual([
      'failed',
      'failed',
      'failed',
      'succeeded',
      'succeeded',
      'succeeded',
    ]);
    expect(await rig.ledger.holds(Date.now())).toEqual([]);
  });
});

describe('an answer that holds', () => {
  test('401: no job fails, nothing more is called, and all go on once the key works', async () => {
    await using rig = await createRig();
    await rig.upstream.keys({ accept: ['SG_another'] });
    const ids = await rig.submit(['a', 'b', 'c', 'd', 'e', 'f']);
    await rig.until('the account is held', async () =>
      (await rig.ledger.holds(Date.now())).some((hold) => hold.name === 'unauthorized'),
    );
    expect(
      (await Promise.all(ids.map(rig.job))).every((job) => job.status === 'queued' || job.status === 'processing'),
    ).toBe(true);
    await rig.upstream.keys({ accept: 'any' });
    const jobs = await rig.ended(ids);
    expect(jobs.every((job) => job.status === 'succeeded' && job.attempts === 1)).toBe(true);
    expect(await rig.ledger.holds(Date.now())).toEqual([]);
  });

  test.each([404, 410])('%i: the model is held, no attempt is used, and a trial finds it again', async (status) => {
    await using rig = await createRig();
    const fault = await rig.upstream.fault({ effect: { kind: 'status', status } });
    const ids = await rig.submit(['a', 'b', 'c', 'd']);
    await rig.until('the model is held', async () =>
      (await rig.ledger.holds(Date.now())).some((hold) => hold.name.startsWith('model:')),
    );
    await rig.upstream.clearFaults(fault);
    const jobs = await rig.ended(ids);
    expect(jobs.every((job) => job.status === 'succeeded' && job.attempts === 1 && job.uncertain === 0)).toBe(true);
    expect(await rig.ledger.holds(Date.now())).toEqual([]);
  });

  test.each(['credits', 'spend_limit'] as const)(
    '406 (%s): work waits with no attempt used, and goes on',
    async (reason) => {
      await using rig = await createRig();
      await rig.upstream.fault({ times: 2, effect: { kind: 'status', status: 406, reason: reason as never } });
      const jobs = await rig.ended(await rig.submit(['a', 'b', 'c', 'd']));
      expect(jobs.every((job) => job.status === 'succeeded' && job.attempts === 1)).toBe(true);
      expect(await rig.ledger.holds(Date.now())).toEqual([]);
    },
  );

  test('429: all slow down, no attempt is used', async () => {
    await using rig = await createRig();
    await rig.upstream.fault({ times: 2, effect: { kind: 'rate_limit', reset_in_ms: 1200 } });
    const jobs = await rig.ended(await rig.submit(['a', 'b', 'c', 'd']));
    expect(jobs.every((job) => job.status === 'succeeded' && job.attempts === 1)).toBe(true);
  });

  test('429 whose reset is years away is waited for ten seconds at most', async () => {
    await using rig = await createRig();
    await rig.upstream.fault({ times: 1, effect: { kind: 'rate_limit', reset_at: '2090-01-01T00:00:00Z' } });
    const before = Date.now();
    const [id = ''] = await rig.submit(['a']);
    await rig.until('the rate is held', async () =>
      (await rig.ledger.holds(Date.now())).some((hold) => hold.name === 'rate'),
    );
    const [hold] = await rig.ledger.holds(Date.now());
    expect((hold?.until ?? Infinity) - before).toBeLessThan(12_000);
    expect((await rig.ended([id]))[0]).toMatchObject({ status: 'succeeded', attempts: 1 });
  });

  test('one row that is refused while others succeed is charged, and fails alone', async () => {
    await using rig = await createRig({ settings: { RENDER_ATTEMPTS: '3' } });
    await rig.upstream.fault({ match: { prompt: 'odd' }, effect: { kind: 'status', status: 403 } });
    const [odd = '', ...others] = await rig.submit(['odd', 'a', 'b']);
    await rig.ended(others);
    await rig.until('the row that is refused has failed', async () => {
      await rig.ended(await rig.submit(['another']));
      return (await rig.job(odd)).status === 'failed';
    });
    expect((await rig.ended([odd]))[0]).toMatchObject({
      status: 'failed',
      attempts: 3,
      error: { code: 'upstream_rejected' },
    });
    expect(await rig.ledger.holds(Date.now())).toEqual([]);
  });
});

describe('an upstream that is not there', () => {
  test('holds all, fails nobody however long it lasts, and everything goes on when it is back', async () => {
    await using rig = await createRig({ settings: { CREDIT_PROBE_MS: '200', RENDER_ATTEMPTS: '3' } });
    await rig.ended(await rig.submit(['before']));
    const gone = await rig.upstreamGone();
    const ids = await rig.submit(Array.from({ length: 12 }, (_, i) => `picture ${i}`));
    await rig.until('all are held', async () =>
      (await rig.ledger.holds(Date.now())).some((hold) => hold.name === 'upstream'),
    );
    const tried = () => rig.logs.filter((line) => line.outcome === 'unreached' && line.msg === 'a call ended').length;
    const before = tried();
    await rig.until('several trials were made', async () => tried() >= before + 5);
    expect((await Promise.all(ids.map(rig.job))).filter((job) => job.status === 'failed')).toEqual([]);
    await gone.back();
    const jobs = await rig.ended(ids);
    expect(jobs.every((job) => job.status === 'succeeded' && job.uncertain === 0)).toBe(true);
    expect(await rig.ledger.holds(Date.now())).toEqual([]);
  });
});

describe('an answer that is an image all the same', () => {
  test.each([
    ['under a wrong content type', { kind: 'content_type', content_type: 'text/html' }],
    [
      'with its headers missing',
      {
        kind: 'none',
        headers: { 'x-cost': null, 'x-remaining-credits': null, 'x-request-id': null, 'x-seed-value': null },
      },
    ],
    [
      'with its headers doubled',
      {
        kind: 'none',
        headers: { 'x-cost': ['0.01', '0.02'], 'x-remaining-credits': ['1', '2'], 'x-request-id': ['a', 'b'] },
      },
    ],
    [
      'with garbage in its headers',
      {
        kind: 'none',
        headers: {
          'x-cost': 'NaN',
          'x-remaining-credits': '-∞'.replace('∞', 'inf'),
          'x-request-id': ' ',
          'x-seed-value': '1e99',
        },
      },
    ],
  ] as const)('%s', async (_, effect) => {
    await using rig = await createRig();
    const { odd } = await meet(rig, effect as unknown as Fault, 1);
    expect(odd).toMatchObject({ status: 'succeeded', attempts: 1 });
    const entry = (await rig.upstream.wholeLedger()).find((billed) => billed.prompt === 'odd');
    expect(odd.output[0]?.sha256).toBe(entry?.image_sha256);
  });

  test('of 9 MB goes through a file that is gone afterwards', async () => {
    await using rig = await createRig();
    await rig.upstream.fault({ effect: { kind: 'oversize', bytes: 9 * 1024 * 1024 } });
    const [id = ''] = await rig.submit(['big']);
    const [job] = await rig.ended([id]);
    expect(job?.output[0]).toMatchObject({ bytes: 9 * 1024 * 1024 });
    expect((await rig.store.head(`jobs/${id}.jpg`))?.bytes).toBe(9 * 1024 * 1024);
  });

  test('above MAX_IMAGE_BYTES fails its job, is counted as spent, and is not called again', async () => {
    await using rig = await createRig({ settings: { MAX_IMAGE_BYTES: '1000000' } });
    const { odd, calls } = await meet(rig, { kind: 'oversize', bytes: 2_000_000 });
    expect(odd).toMatchObject({ status: 'failed', error: { code: 'bad_image' } });
    expect(odd.cost).toBeGreaterThan(0);
    expect(calls).toBe(1);
  });
});
