import { createHash } from 'node:crypto';
import type { NewJob } from '@renderyard/shared/job/job-store';
import { JOB_EVENT_TYPES } from '@renderyard/shared/webhook/event-type';
import { describe, expect, it } from 'vitest';
import { COST } from './bench.ts';
import { openWebhookBench, type WebhookBench } from './webhook-bench.ts';

const OWN = 'https://own.example/hook';
const IMAGE = { url: 'u', width: 1, height: 1 };
const output = [IMAGE] as never;
const ERROR = { code: 'upstream_rejected', detail: 'No.' } as const;

/** Every way to a final state of a single job. Each ends the job; called again it tells the same again. */
const WAYS: readonly {
  readonly how: string;
  readonly type: (typeof JOB_EVENT_TYPES)[number];
  readonly job?: Partial<NewJob>;
  /** What there is to be done before, so that the end itself can be told twice. */
  readonly ready?: (bench: WebhookBench, job: string) => Promise<{ id: string; job: string }>;
  readonly end: (bench: WebhookBench, job: string, call: { id: string; job: string }) => Promise<unknown>;
}[] = [
  {
    how: 'succeeds',
    type: 'job.succeeded',
    ready: (bench, job) => bench.call({ job }),
    end: (bench, _, call) => bench.end(call, { output }),
  },
  {
    how: 'fails',
    type: 'job.failed',
    ready: (bench, job) => bench.call({ job }),
    end: (bench, _, call) => bench.end(call, { status: 'failed', settlement: { kind: 'released' }, error: ERROR }),
  },
  {
    how: 'fails before a call is made',
    type: 'job.failed',
    end: (bench, job) => bench.jobs.record({ job, status: 'failed', error: ERROR }, 1),
  },
  { how: 'is canceled while it waits', type: 'job.canceled', end: (bench, job) => bench.jobs.cancel(job) },
  {
    how: 'is canceled while its call is in flight',
    type: 'job.canceled',
    ready: async (bench, job) => {
      const call = await bench.call({ job });
      await bench.jobs.cancel(job);
      return call;
    },
    end: (bench, _, call) => bench.end(call, { output }),
  },
  { how: 'expires', type: 'job.expired', job: { expiresAt: 1 }, end: (bench) => bench.jobs.sweep(0) },
  {
    how: 'has its image found by a retry',
    type: 'job.succeeded',
    ready: async (bench, job) => {
      const call = await bench.call({ job });
      await bench.end(call, { status: 'queued', settlement: { kind: 'uncertain', how: 'cut' } });
      await bench.jobs.cancel(job);
      // It comes too late, is paid for, and kept.
      await bench.end(call, { output });
      await bench.redis.del(`${bench.prefix}outbox`);
      return call;
    },
    end: (bench, job) => bench.jobs.retry(job, 100),
  },
];

const NO_CALL = { id: '', job: '' };

async function open() {
  const bench = await openWebhookBench();
  await bench.balance(100 * COST);
  return bench;
}

async function endedBy(bench: WebhookBench, way: (typeof WAYS)[number], job: Partial<NewJob>) {
  const id = await bench.job({ ...way.job, ...job });
  const call = (await way.ready?.(bench, id)) ?? NO_CALL;
  expect(await bench.outbox()).toEqual([]);
  await way.end(bench, id, call);
  return { id, again: () => way.end(bench, id, call) };
}

describe.each(WAYS)('a job that $how', (way) => {
  it('is told of to its own webhook, and to the endpoints of its account that hear of it, in one event', async () => {
    await using bench = await open();
    const all = await bench.endpoint();
    const one = await bench.endpoint({ events: ['batch.paused', way.type] });
    await bench.endpoint({ events: [...JOB_EVENT_TYPES, 'batch.paused' as const].filter((type) => type !== way.type) });
    await bench.endpoint({}, 'somebody');
    const since = Date.now();
    const { id, again } = await endedBy(bench, way, { webhook: OWN });
    const [event, ...more] = await bench.outbox();
    expect(more).toEqual([]);
    expect(event).toMatchObject({ type: way.type, account: 'acme', job_id: id });
    expect(event?.to[0]).toEqual({ url: OWN });
    expect(event?.to.slice(1)).toEqual(expect.arrayContaining([{ webhook: all }, { webhook: one }]));
    expect(event?.to.length).toBe(3);
    expect(event?.at).toBeGreaterThanOrEqual(since - 1);
    // As it was in the step in which it ended.
    expect(event?.job).toEqual(await bench.redis.hgetall(`${bench.prefix}job:${id}`));
    expect(event?.job?.status).toBe(way.type.slice('job.'.length));
    for (let i = 0; i < 3; i++) await again();
    expect(await bench.outbox()).toEqual([event]);
  });

  it.each([
    ['to nobody where nobody asked', {}, []],
    ['where its own webhook names the type', { webhook: OWN, webhookEvents: [way.type] }, [way.type]],
    [
      'not where its own webhook names others only',
      { webhook: OWN, webhookEvents: JOB_EVENT_TYPES.filter((type) => type !== way.type) },
      [],
    ],
  ] as const)('is told of %s', async (_, job, told) => {
    await using bench = await open();
    await bench.endpoint({ events: ['batch.completed', 'credits.low'] });
    await bench.endpoint({}, 'somebody');
    await endedBy(bench, way, job);
    expect(await bench.told()).toEqual(told);
  });
});

describe('the end of a job', () => {
  it('is told by no record that comes too late', async () => {
    await using bench = await open();
    const call = await bench.call({ job: await bench.job({ webhook: OWN }) });
    await bench.end(call, { status: 'queued', settlement: { kind: 'uncertain', how: 'cut' } });
    await bench.jobs.cancel(call.job);
    expect(await bench.told()).toEqual(['job.canceled']);
    expect(await bench.end(call, { output })).toMatchObject({ late: true, status: 'canceled' });
    expect(await bench.told()).toEqual(['job.canceled']);
  });

  it('is not told of before it: neither put back, parked nor canceled in flight', async () => {
    await using bench = await open();
    await bench.endpoint();
    for (const status of ['queued', 'parked'] as const)
      await bench.end(await bench.call(), { status, settlement: { kind: 'released' } });
    const { job } = await bench.call();
    expect(await bench.jobs.cancel(job)).toMatchObject({ status: 'canceling' });
    expect(await bench.outbox()).toEqual([]);
  });

  it('has an id of its own each time, which is the same wherever the same happens', async () => {
    const job = 'job_01m8252vh6ev49mn1zc6nx42ht';
    const history = async () => {
      await using bench = await open();
      await bench.job({ id: job, webhook: OWN });
      await bench.jobs.cancel(job);
      await bench.jobs.retry(job, 100);
      await bench.jobs.cancel(job);
      await bench.jobs.retry(job, 100);
      const call = await bench.call({ job });
      await bench.end(call, { output });
      return (await bench.outbox()).map(({ id }) => id);
    };
    const ids = await history();
    const idOf = (type: string, run: number) =>
      `evt_${createHash('sha1').update(`${job} ${type} ${run}`).digest('hex').slice(0, 26)}`;
    expect(ids).toEqual([idOf('job.canceled', 1), idOf('job.canceled', 2), idOf('job.succeeded', 3)]);
    expect(await history()).toEqual(ids);
  });

  it('is not told to an endpoint that was disabled or deleted before', async () => {
    await using bench = await open();
    const disabled = await bench.endpoint();
    const deleted = await bench.endpoint();
    await bench.endpoint({ id: disabled, state: 'disabled', reason: 'by_hand', disabledAt: 1 });
    await bench.remove(deleted);
    await bench.jobs.cancel(await bench.job());
    expect(await bench.outbox()).toEqual([]);
    await bench.endpoint({ id: disabled, state: 'enabled' });
    await bench.jobs.cancel(await bench.job());
    expect((await bench.outbox()).map(({ to }) => to)).toEqual([[{ webhook: disabled }]]);
  });
});

describe('the account with the upstream', () => {
  const SETTINGS = { floor: 5 * COST, low: 30 * COST, resume: 50 * COST };

  it('is told of to each account that hears of it, once each time', async () => {
    await using bench = await openWebhookBench();
    await bench.ledger.meetUpstream('one', SETTINGS);
    const one = await bench.endpoint();
    const two = await bench.endpoint({ events: ['credits.held'] });
    const other = await bench.endpoint({ events: ['credits.low', 'credits.resumed'] }, 'somebody');
    await bench.endpoint({ events: ['job.failed'] }, 'third');
    const read = (images: number) => bench.balance(images * COST, SETTINGS);
    for (let i = 0; i < 2; i++) for (const images of [60, 29, 29, 31, 28]) await read(images);
    const low = await bench.outbox();
    expect(low.map(({ type, account, to }) => [type, account, to])).toEqual(
      expect.arrayContaining([
        ['credits.low', 'acme', [{ webhook: one }]],
        ['credits.low', 'somebody', [{ webhook: other }]],
      ]),
    );
    // It went below twice, with enough in between.
    expect(low.length).toBe(4);
    expect(new Set(low.map(({ id }) => id)).size).toBe(2);
    expect(low[0]?.credits).toEqual({
      from: 'open',
      to: 'low',
      cause: 'below_low',
      balance: String(29 * COST),
      floor: String(5 * COST),
    });
    for (let i = 0; i < 3; i++) await bench.ledger.setHold('credits', 'Unread.', { unread: true });
    const held = (await bench.outbox()).slice(4);
    expect(held.map(({ type, account }) => [type, account])).toEqual([['credits.held', 'acme']]);
    expect(held[0]?.to).toEqual(expect.arrayContaining([{ webhook: one }, { webhook: two }]));
    for (let i = 0; i < 3; i++) await read(60);
    const resumed = (await bench.outbox()).slice(5);
    expect(resumed.map(({ type, account }) => [type, account]).sort()).toEqual([
      ['credits.resumed', 'acme'],
      ['credits.resumed', 'somebody'],
    ]);
    // Everybody hears of it under the id that the log of credits has.
    const log = (await bench.ledger.events({ limit: 100 }))
      .filter(({ type }) => type !== undefined)
      .map(({ id }) => id);
    expect([...new Set((await bench.outbox()).map(({ id }) => id))]).toEqual(log.reverse());
  });

  it('is told of to nobody where nobody hears of it', async () => {
    await using bench = await openWebhookBench();
    await bench.ledger.meetUpstream('one', SETTINGS);
    await bench.endpoint({ events: ['job.failed'] });
    await bench.remove(await bench.endpoint({}, 'somebody'), 'somebody');
    for (const images of [60, 29]) await bench.balance(images * COST, SETTINGS);
    expect(await bench.outbox()).toEqual([]);
    expect(await bench.shown()).toEqual(['credits.low']);
  });
});
