import { randomBytes } from 'node:crypto';
import { RENDER_QUEUE } from '@renderyard/shared/job/ticket-queue';
import { DEFAULT_MODEL } from '@renderyard/shared/model/model';
import { queuePrefix } from '@renderyard/shared/redis/keys';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type Installation, startInstallation } from '../support/installation.ts';
import { type Scrape, scrape } from './exposition.ts';
import { WATCHED, watchersUrl } from './watched.ts';

/** Of the whole installation, and the same whoever tells it; ages grow between two scrapes. */
const OF_INSTALLATION =
  /^renderyard_(redis_up|processes|store_up|rebuilding|tickets|jobs_waiting|rows_waiting|batches|rate_limit_calls|slots_|credits_(balance$|floor|low|reserved|uncertain|spent|state)|uncertain_calls$|holds|deliveries_waiting|outbox_events)/;
/** What is read serves all who ask within two seconds. */
const KEPT_MS = 2000;
const CALL = (outcome: string) => `renderyard_calls_total{model="${DEFAULT_MODEL}",outcome="${outcome}"}`;

const prefix = `metrics-${randomBytes(6).toString('hex')}`;
let yard: Installation;
let urls: readonly string[];
const all = (): Promise<Scrape[]> => Promise.all(urls.map((url) => scrape(url)));
const workers = async () => (await all()).slice(1);
const sumOf = (scrapes: readonly Scrape[], series: string) =>
  scrapes.reduce((sum, { value }) => sum + (value(series) ?? Number.NaN), 0);

/** Metrics that were read after what has happened before this call. */
async function fresh(): Promise<Scrape[]> {
  const begun = Date.now();
  await yard.until('what was read before is kept no more', async () => Date.now() - begun > KEPT_MS);
  return all();
}

beforeAll(async () => {
  yard = await startInstallation({
    workers: 2,
    simulator: { latencyMs: 20 },
    env: {
      ...WATCHED,
      REDIS_PREFIX: prefix,
      SEGMIND_CONCURRENCY: '4',
      FEED_WINDOW: '6',
      CREDIT_FLOOR: '0.5',
      CREDIT_LOW: '1',
    },
  });
  urls = await Promise.all([yard.api, ...yard.workers].map(watchersUrl));
}, 60_000);
afterAll(() => yard?.[Symbol.asyncDispose]());

test('the counters of all workers together are what the upstream has billed, and what became of the jobs', async () => {
  await yard.upstream.fault({ times: 3, effect: { kind: 'status', status: 500 } });
  await yard.upstream.fault({ times: 1, match: { prompt: 'cut' }, effect: { kind: 'cut', by: 'length' } });
  const ids = await yard.submit([...Array.from({ length: 20 }, (_, i) => `picture ${i}`), 'cut']);
  const batch = await yard.upload(`prompt\n${Array.from({ length: 12 }, (_, i) => `row ${i}`).join('\n')}`);
  const jobs = await yard.ended(ids);
  expect((await yard.batchEnded(batch.id)).counts.succeeded).toBe(12);
  expect(jobs.every(({ status }) => status === 'succeeded')).toBe(true);

  const ledger = await yard.upstream.ledger();
  const calls = (await yard.upstream.allCalls()).filter(({ endpoint }) => endpoint === 'render');
  const scrapes = (await fresh()).slice(1);
  expect(scrapes.reduce((sum, each) => sum + each.sum('renderyard_calls_total'), 0)).toBe(calls.length);
  expect(sumOf(scrapes, CALL('image'))).toBe(33);
  expect(sumOf(scrapes, CALL('unavailable'))).toBe(3);
  expect(sumOf(scrapes, CALL('unknown'))).toBe(1);
  expect(sumOf(scrapes, 'renderyard_uncertain_calls_total')).toBe(1);
  expect(sumOf(scrapes, 'renderyard_jobs_ended_total{status="succeeded"}')).toBe(33);
  expect(sumOf(scrapes, 'renderyard_job_wait_seconds_count')).toBe(21);
  // The one that was cut is billed, and counted as uncertain.
  expect(ledger.billed_count).toBe(34);
  const cut = (await yard.upstream.wholeLedger()).filter(({ fault }) => fault !== null);
  expect(cut).toHaveLength(1);
  expect(sumOf(scrapes, 'renderyard_credits_cost_total')).toBeCloseTo(ledger.billed_total - (cut[0]?.cost ?? 0), 6);
  for (const { value } of scrapes) expect(value('renderyard_worker_tickets')).toBe(0);
});

test('figures of the installation are those of GET /v1/credits', async () => {
  const [{ value } = await Promise.reject(new Error('no scrape'))] = await fresh();
  const credits = await yard.credits();
  expect({
    balance: value('renderyard_credits_balance'),
    reserved: value('renderyard_credits_reserved'),
    spent: value('renderyard_credits_spent'),
    count: value('renderyard_uncertain_calls'),
    uncertain: value('renderyard_credits_uncertain'),
  }).toEqual({
    balance: credits.balance,
    reserved: credits.reserved,
    spent: credits.spent,
    count: credits.uncertain.count,
    uncertain: credits.uncertain.credits,
  });
  expect(value('renderyard_credits_floor')).toBe(0.5);
  expect(value('renderyard_credits_low')).toBe(1);
  expect(value('renderyard_credits_state{state="open"}')).toBe(1);
  expect(value('renderyard_processes{service="api"}')).toBe(1);
  expect(value('renderyard_processes{service="worker"}')).toBe(2);
  expect(value('renderyard_slots_limit')).toBe(4);
  expect(value('renderyard_rate_limit_calls')).toBe(6000);
  expect(value('renderyard_hold_age_seconds{reason="operator"}')).toBeUndefined();
});

test('what is held is told as GET /v1/batches and the queue tell it, and by every process alike', async () => {
  const connection = new Redis(inject('redisUrl'));
  const queue = new Queue(RENDER_QUEUE, { connection, prefix: queuePrefix(prefix) });
  try {
    await yard.call('POST', '/v1/credits/hold', { detail: 'For a test.' });
    const running = await yard.upload('prompt\none\ntwo\nthree');
    const paused = await yard.upload('prompt\nfour\nfive');
    await yard.call('POST', `/v1/batches/${paused.id}/pause`);
    const ids = await yard.submit(Array.from({ length: 9 }, (_, i) => `held ${i}`));
    const counts = async () => {
      const { waiting = 0, prioritized = 0, active = 0, delayed = 0 } = await queue.getJobCounts();
      return { waiting: waiting + prioritized, active, delayed };
    };
    // Those who had taken a ticket put it back; then the queue is paused, and the window full of what waits.
    await yard.until('nothing moves', async () => {
      const { waiting, active, delayed } = await counts();
      return (await queue.isPaused()) && active === 0 && waiting + delayed >= 6 + 3;
    });
    const [first, ...others] = await fresh();
    const tickets = await counts();
    if (first === undefined) throw new Error('no scrape');
    const inQueue = (state: keyof typeof tickets) => first.value(`renderyard_tickets{state="${state}"}`);
    // What is delayed, by a second, becomes what waits.
    expect((inQueue('waiting') ?? 0) + (inQueue('delayed') ?? 0)).toBe(tickets.waiting + tickets.delayed);
    expect(inQueue('active')).toBe(0);
    expect(first.value('renderyard_jobs_waiting')).toBe(9);
    const views = await Promise.all([yard.batch(running.id), yard.batch(paused.id)]);
    expect(first.value('renderyard_rows_waiting')).toBe(views.reduce((sum, { counts: rows }) => sum + rows.queued, 0));
    expect(first.value('renderyard_batches{status="running"}')).toBe(1);
    expect(first.value('renderyard_batches{status="paused"}')).toBe(1);
    expect(first.value('renderyard_holds{reason="operator"}')).toBe(1);
    expect(first.value('renderyard_holds{reason="batch_paused"}')).toBe(1);
    expect(first.value('renderyard_hold_age_seconds{reason="operator"}')).toBeGreaterThan(1);
    expect(first.value('renderyard_queue_age_seconds')).toBeGreaterThan(1);

    const same = ({ series }: Scrape) => [...series].filter(([name]) => OF_INSTALLATION.test(name)).sort();
    expect(same(first).length).toBeGreaterThan(35);
    for (const other of others) {
      const theirs = new Map(same(other));
      // A ticket that was delayed by a second may wait by now.
      for (const [name, value] of same(first))
        if (!/tickets\{state="(waiting|delayed)"\}/.test(name)) expect([name, theirs.get(name)]).toEqual([name, value]);
    }

    await yard.call('POST', '/v1/credits/resume', {});
    await yard.call('POST', `/v1/batches/${paused.id}/resume`);
    await yard.ended(ids);
    await Promise.all([running, paused].map(({ id }) => yard.batchEnded(id)));
    const [after] = await fresh();
    expect(after?.value('renderyard_queue_age_seconds')).toBe(0);
    expect(after?.value('renderyard_rows_waiting')).toBe(0);
    expect(after?.sum('renderyard_batches')).toBe(0);
    expect(after?.sum('renderyard_holds')).toBe(0);
    expect(after?.value('renderyard_rate_used_calls')).toBeGreaterThanOrEqual(14);
  } finally {
    await queue.close();
    connection.disconnect();
  }
}, 60_000);

test('requests are counted by the pattern of their route, and never by what stood there', async () => {
  const before = await all();
  await yard.call('GET', '/v1/jobs/job_01m82fq096ek993hm449h1w9rr');
  await yard.call('GET', '/nowhere/%22%7D%201');
  await fetch(new URL('/v1/jobs', yard.api.url), { method: 'PROPFIND' }).catch(() => undefined);
  await yard.until('all are over', async () => {
    const [api] = await all();
    return (
      (api?.sum('renderyard_http_requests_total') ?? 0) >= (before[0]?.sum('renderyard_http_requests_total') ?? 0) + 3
    );
  });
  const [api] = await all();
  expect(api?.value('renderyard_http_requests_total{method="GET",route="/v1/jobs/:id",status="404"}')).toBe(1);
  expect(api?.value('renderyard_http_requests_total{method="GET",route="none",status="404"}')).toBe(1);
  for (const route of api?.valuesOf('renderyard_http_requests_total', 'route') ?? [])
    expect(route).toMatch(/^(none|\/[a-z0-9.:/*_-]*)$/);
  expect([...(api?.valuesOf('renderyard_http_requests_total', 'method') ?? [])].sort()).toContain('other');
});

test('every process tells of itself and of the store, and the workers of what they do', async () => {
  for (const { sum, value } of await all()) {
    expect(sum('renderyard_build_info')).toBe(1);
    expect(sum('renderyard_store_operation_duration_seconds_count')).toBeGreaterThan(0);
    expect(value('process_resident_memory_bytes')).toBeGreaterThan(10_000_000);
    expect(value('nodejs_eventloop_lag_p99_seconds')).toBeGreaterThan(0);
  }
  for (const { sum } of await workers())
    expect(sum('renderyard_call_duration_seconds_count')).toBe(sum('renderyard_calls_total'));
});
