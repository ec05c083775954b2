import { newId } from '@renderyard/shared/ids';
import { JOB_STATUSES, type JobStatus } from '@renderyard/shared/job/job';
import type { NewJob } from '@renderyard/shared/job/job-store';
import { describe, expect, it } from 'vitest';
import { type Bench, COST, MODEL, openBench, TRIAL_MS } from './bench.ts';
import { contents } from './keys.ts';

const IMAGE = { key: 'jobs/a.png', content_type: 'image/png', bytes: 1, width: 1, height: 1, sha256: 'ab', seed: 1 };
const newJob = (over: Partial<NewJob> = {}): NewJob => ({
  id: newId('job'),
  account: 'acme',
  model: MODEL,
  input: { prompt: 'ein Füchschen 🦊 "quoted"\n', seed: 4_294_967_295, nested: { a: [] } },
  metadata: { 'a:b': null },
  createdAt: 1_700_000_000_123,
  expiresAt: undefined,
  ...over,
});

/** A job in this state, by the ways that lead there. */
async function jobIn(bench: Bench, status: JobStatus): Promise<string> {
  if (status === 'queued') return bench.job();
  const expiresAt = status === 'expired' ? { expiresAt: Date.now() - 1 } : {};
  const job = await bench.job(expiresAt);
  if (status === 'canceled') await bench.jobs.cancel(job);
  else if (status === 'expired') await bench.jobs.sweep(0);
  else {
    const call = await bench.call({ job });
    const error = { code: 'upstream_rejected', detail: 'Why.' } as const;
    if (status === 'succeeded') await bench.end(call, { output: [IMAGE] });
    if (status === 'failed') await bench.end(call, { status, error, settlement: { kind: 'released' } });
  }
  return job;
}

describe('create', () => {
  it('keeps what it is given, byte for byte', async () => {
    await using bench = await openBench();
    const job = newJob({ expiresAt: 1_800_000_000_000 });
    expect(await bench.jobs.create(job, 10)).toBe('created');
    expect(await bench.jobs.get(job.id)).toEqual({
      ...job,
      batch: undefined,
      row: undefined,
      run: 0,
      imageKey: `jobs/${job.id}`,
      status: 'queued',
      output: [],
      error: undefined,
      attempts: 0,
      tries: 0,
      uncertain: 0,
      uncertainTries: 0,
      cost: 0,
      cancelRequested: false,
      call: '',
      ticket: 0,
      startedAt: undefined,
      endedAt: undefined,
    });
  });

  it('takes an id once, and leaves the first as it is', async () => {
    await using bench = await openBench();
    const job = newJob();
    const answers = await Promise.all(
      Array.from({ length: 5 }, (_, i) => bench.jobs.create({ ...job, metadata: { i } }, 10)),
    );
    expect(answers).toEqual(['created', 'exists', 'exists', 'exists', 'exists']);
    expect(await bench.jobs.get(job.id)).toMatchObject({ metadata: { i: 0 } });
    await bench.jobs.cancel(job.id);
    expect(await bench.jobs.create(job, 10)).toBe('exists');
    expect(await bench.jobs.list('acme', { limit: 10 })).toHaveLength(1);
  });

  it('says “full” when as many wait as may, and takes no more than that from many at once', async () => {
    await using bench = await openBench();
    const answers = await Promise.all(Array.from({ length: 30 }, () => bench.jobs.create(newJob(), 10)));
    expect(answers.filter((answer) => answer === 'created')).toHaveLength(10);
    expect(answers.filter((answer) => answer === 'full')).toHaveLength(20);
    expect(await bench.jobs.list('acme', { limit: 100 })).toHaveLength(10);
    await bench.jobs.takeTickets(1);
    expect(await bench.jobs.create(newJob(), 10)).toBe('created');
  });

  it('counts jobs that are parked among those that wait', async () => {
    await using bench = await openBench();
    await bench.ledger.setHold(`model:${MODEL}`, 'why');
    for (let i = 0; i < 10; i++) await bench.jobs.create(newJob(), 10);
    await bench.jobs.takeTickets(100);
    expect(await bench.jobs.create(newJob(), 10)).toBe('full');
  });
});

describe('get', () => {
  it('knows nothing of a job that is not there', async () => {
    await using bench = await openBench();
    expect(await bench.jobs.get(newId('job'))).toBeUndefined();
  });
});

describe('list', () => {
  it('gives the newest first, page by page, each once, of its account only', async () => {
    await using bench = await openBench();
    const ids: string[] = [];
    for (let i = 0; i < 25; i++) ids.unshift(await bench.job({ account: i % 5 === 0 ? 'other' : 'acme' }));
    const seen: string[] = [];
    for (;;) {
      const page = await bench.jobs.list('acme', { after: seen.at(-1), limit: 7 });
      expect(page.length).toBeLessThanOrEqual(7);
      if (page.length === 0) break;
      seen.push(...page.map(({ id }) => id));
    }
    expect(seen).toEqual(ids.filter((_, i) => (24 - i) % 5 !== 0));
    expect(await bench.jobs.list('acm', { limit: 10 })).toEqual([]);
  });

  it('gives those of each status', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const of = new Map<JobStatus, string>();
    for (const status of JOB_STATUSES) of.set(status, await jobIn(bench, status));
    for (const [status, id] of of) {
      const listed = await bench.jobs.list('acme', { status, limit: 10 });
      expect(listed.map((job) => [job.id, job.status])).toEqual([[id, status]]);
    }
    expect(await bench.jobs.list('acme', { limit: 10 })).toHaveLength(JOB_STATUSES.length);
  });

  it('goes on behind a job that is no longer there', async () => {
    await using bench = await openBench();
    const [first, second] = [await bench.job(), await bench.job()];
    await bench.jobs.cancel(second);
    await bench.jobs.sweep(Date.now() + 1000);
    expect((await bench.jobs.list('acme', { after: second, limit: 10 })).map(({ id }) => id)).toEqual([first]);
  });
});

describe('cancel', () => {
  it.each([
    ['queued', 'canceled', 'canceled'],
    ['processing', 'canceling', 'processing'],
    ['succeeded', 'ended', 'succeeded'],
    ['failed', 'ended', 'failed'],
    ['canceled', 'ended', 'canceled'],
    ['expired', 'ended', 'expired'],
  ] as const)('of a job that is %s is answered with “%s” and leaves it %s', async (before, answer, after) => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const job = await jobIn(bench, before);
    expect(await bench.jobs.cancel(job)).toMatchObject({ status: answer });
    expect(await bench.jobs.get(job)).toMatchObject({ status: after });
  });

  it('of a job that is not there says so', async () => {
    await using bench = await openBench();
    expect(await bench.jobs.cancel(newId('job'))).toEqual({ status: 'missing', ticket: undefined });
  });

  it('names the ticket that is to be taken from the queue, and makes it void', async () => {
    await using bench = await openBench();
    const job = await bench.job();
    const [ticket] = await bench.jobs.takeTickets(1);
    expect(await bench.jobs.cancel(job)).toMatchObject({
      status: 'canceled',
      ticket,
      ended: { attempts: 0, uncertain: 0, cost: 0, startedAt: undefined },
    });
    if (ticket !== undefined) expect(await bench.jobs.claim(ticket, TRIAL_MS)).toEqual({ verdict: 'void' });
    expect(await bench.redis.zcard(`${bench.prefix}fed`)).toBe(0);
  });

  it.each([
    ['an image', { output: [IMAGE] }, [IMAGE], COST],
    ['a failure', { status: 'failed', settlement: { kind: 'released' } }, [], 0],
    ['another try', { status: 'queued', settlement: { kind: 'uncertain', how: 'cut' } }, [], COST],
  ] as const)('in mid-call lets the call end, and keeps what it brings (%s)', async (_, end, output, cost) => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const call = await bench.call();
    await bench.jobs.cancel(call.job);
    expect(await bench.jobs.get(call.job)).toMatchObject({ cancelRequested: true });
    expect(await bench.end(call, end)).toMatchObject({ status: 'canceled', late: false });
    expect(await bench.jobs.get(call.job)).toMatchObject({ status: 'canceled', output, cost, cancelRequested: false });
  });
});

describe('retry', () => {
  it.each(['failed', 'canceled', 'expired'] as const)(
    'lets a job that is %s run again, and keeps what it cost',
    async (status) => {
      await using bench = await openBench();
      await bench.balance(100 * COST);
      const job = await jobIn(bench, status);
      const { cost, attempts } = (await bench.jobs.get(job)) ?? {};
      expect(await bench.jobs.retry(job, 10)).toBe('queued');
      expect(await bench.jobs.get(job)).toMatchObject({
        status: 'queued',
        cost,
        attempts,
        tries: 0,
        uncertainTries: 0,
        error: undefined,
        endedAt: undefined,
        expiresAt: undefined,
      });
      expect(await bench.jobs.retry(job, 10)).toBe('refused');
      const [ticket] = await bench.jobs.takeTickets(1);
      if (ticket === undefined) throw new Error('there is no ticket');
      expect(await bench.jobs.claim(ticket, TRIAL_MS)).toMatchObject({ verdict: 'yours' });
      await bench.end(await bench.call({ job }));
      expect(await bench.jobs.get(job)).toMatchObject({ status: 'succeeded', attempts: (attempts ?? 0) + 1 });
    },
  );

  it('gives a canceled job its image back, which was paid for', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const call = await bench.call();
    await bench.jobs.cancel(call.job);
    await bench.end(call, { output: [IMAGE] });
    expect(await bench.jobs.retry(call.job, 10)).toBe('succeeded');
    expect(await bench.jobs.get(call.job)).toMatchObject({ status: 'succeeded', output: [IMAGE], attempts: 1 });
    expect(await bench.jobs.takeTickets(10)).toEqual([]);
  });

  it('is refused for a job that waits, runs or succeeded, and when too many wait', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    for (const status of ['queued', 'processing', 'succeeded'] as const)
      expect(await bench.jobs.retry(await jobIn(bench, status), 10)).toBe('refused');
    const failed = await jobIn(bench, 'failed');
    expect(await bench.jobs.retry(failed, 1)).toBe('full');
    expect(await bench.jobs.get(failed)).toMatchObject({ status: 'failed' });
    expect(await bench.jobs.retry(newId('job'), 10)).toBe('missing');
  });
});

describe('sweep', () => {
  it('ends what has run out of time, but no call in flight', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const soon = { expiresAt: Date.now() + 1000 };
    const waiting = await bench.job(soon);
    const later = await bench.job({ expiresAt: Date.now() + 1e6 });
    const call = await bench.call({ job: await bench.job(soon) });
    expect(await bench.jobs.sweep(0)).toEqual({ expired: [], forgotten: 0 });
    await bench.pass(1000);
    await bench.ledger.renew([call.id]);
    expect(await bench.jobs.sweep(0)).toEqual({ expired: [waiting], forgotten: 0 });
    expect(await bench.jobs.get(waiting)).toMatchObject({ status: 'expired', error: { code: 'expired' } });
    expect(await bench.jobs.get(later)).toMatchObject({ status: 'queued' });
    expect(await bench.jobs.get(call.job)).toMatchObject({ status: 'processing' });
    await bench.end(call, { status: 'queued', settlement: { kind: 'released' } });
    expect(await bench.jobs.sweep(0)).toEqual({ expired: [call.job], forgotten: 0 });
    expect(await bench.jobs.get(call.job)).toMatchObject({ status: 'expired' });
  });

  it('forgets everything of what ended long ago, and nothing else', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const old: string[] = [];
    for (const status of ['succeeded', 'failed', 'canceled', 'expired'] as const) old.push(await jobIn(bench, status));
    const uncertain = await bench.call();
    await bench.end(uncertain, { status: 'failed', settlement: { kind: 'uncertain', how: 'timeout' } });
    old.push(uncertain.job);
    await bench.pass(1e9);
    await bench.balance(99 * COST);
    const kept = [await jobIn(bench, 'succeeded'), await jobIn(bench, 'queued'), await jobIn(bench, 'processing')];
    expect(await bench.jobs.sweep(Date.now() - 1e8)).toEqual({ expired: [], forgotten: old.length });
    // What was shown to those who watch goes by itself: the stream is capped.
    await bench.redis.del(`${bench.prefix}live`);
    const left = JSON.stringify(await contents(bench.redis, bench.prefix));
    for (const job of old) expect(left).not.toContain(job);
    for (const job of kept) expect(await bench.jobs.get(job)).toBeDefined();
    expect(await bench.jobs.list('acme', { limit: 100 })).toHaveLength(kept.length);
  });

  it('keeps an uncertain call on the books until it is known what it cost', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const call = await bench.call();
    await bench.end(call, { status: 'failed', settlement: { kind: 'uncertain', how: 'timeout' } });
    expect(await bench.jobs.sweep(Date.now() + 1000)).toEqual({ expired: [], forgotten: 1 });
    expect(await bench.books()).toMatchObject({ uncertain: COST, uncertainCalls: [{ call: call.id }] });
    await bench.end(call, { settlement: { kind: 'released' } });
    expect(await bench.books()).toMatchObject({ uncertain: 0, uncertainCalls: [] });
  });

  it('leaves no key behind once every job is forgotten', async () => {
    await using bench = await openBench({ unknownModels: true });
    await bench.ledger.setHold(`model:${MODEL}`, 'why');
    await bench.job();
    await bench.jobs.takeTickets(10);
    await bench.job({ expiresAt: Date.now() + 1e9 });
    for (const job of await bench.jobs.list('acme', { limit: 10 })) await bench.jobs.cancel(job.id);
    await bench.ledger.releaseHold(`model:${MODEL}`);
    await bench.jobs.unpark();
    expect(await bench.jobs.sweep(Date.now() + 1000)).toEqual({ expired: [], forgotten: 2 });
    const names = [`${bench.prefix}generation`, `${bench.prefix}live`];
    expect(Object.keys(await contents(bench.redis, bench.prefix))).toEqual(names);
  });
});
