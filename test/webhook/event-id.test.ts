import { createBatchFiles } from '@renderyard/shared/batch/batch-files';
import { type OutboxEvent, parseEvent } from '@renderyard/shared/webhook/event';
import { missedEvents } from '@renderyard/worker/webhook/missed-events';
import { expect, test } from 'vitest';
import { openHttpReceiver } from './http-receiver.ts';
import { openTellingYard, type Yard } from './telling.ts';

const CREDIT = 1_000_000_000;

async function told({ redis, prefix }: Yard): Promise<OutboxEvent[]> {
  const entries = await redis.xrange(`${prefix}outbox`, '-', '+');
  return entries.flatMap(([, fields]) => parseEvent(fields) ?? []);
}

/** What a receiver is told that has missed all since a time. */
async function missedBy(yard: Yard, receiver: string, events: string | undefined): Promise<OutboxEvent[]> {
  const { redis, prefix, states, store } = yard;
  const task = {
    receiver,
    account: 'default',
    from: 0,
    until: Date.now() + 1000,
    turn: 1,
    ...(events ? { events } : {}),
  };
  const found: OutboxEvent[] = [];
  const pages = missedEvents({ redis, prefix, states, store, files: createBatchFiles({ store }) }, task);
  for await (const { events: some } of pages) found.push(...some);
  return found;
}

const byId = (events: readonly OutboxEvent[]) => events.toSorted((a, b) => (a.id < b.id ? -1 : 1));

test('what is told again of jobs and credits is what the scripts have put out, word for word', async () => {
  await using yard = await openTellingYard({ workers: 0 });
  const { id } = await yard.endpoint('http://127.0.0.1:9/');
  const { ledger, redis, prefix } = yard;
  const ended = { succeeded: await yard.render('a'), failed: await yard.render('b'), canceled: await yard.render('c') };
  await yard.succeed(ended.succeeded);
  await yard.fail(ended.failed);
  await yard.post(`/v1/jobs/${ended.canceled}/cancel`);
  const expired = await yard.render('d', { expires_in: 3600 });
  await redis.zadd(`${prefix}expiring`, 1, expired);
  expect(await yard.jobs.sweep(0)).toMatchObject({ expired: [expired] });
  // Twice ended: the second time it fails again, or its image is found to be there.
  const twice = await yard.render('e');
  await yard.fail(twice);
  await yard.post(`/v1/jobs/${twice}/retry`);
  await yard.fail(twice);
  const found = await yard.render('f');
  await yard.post(`/v1/jobs/${found}/cancel`);
  await redis.hset(`${prefix}job:${found}`, 'output', '[{"key":"jobs/f.png"}]');
  await yard.until(
    'time has passed',
    async () => Number(await redis.hget(`${prefix}job:${found}`, 'ended_at')) < Date.now(),
  );
  await yard.post(`/v1/jobs/${found}/retry`);
  const limits = { floor: 5 * CREDIT, low: 30 * CREDIT, resume: 50 * CREDIT };
  await ledger.meetUpstream('one', limits);
  for (const balance of [29, 60]) {
    if (balance === 60) await ledger.setHold('credits', 'Unread.', { unread: true });
    const asked = await ledger.beginReading();
    await ledger.takeReading(balance * CREDIT, asked, { floor: limits.floor, resume: limits.resume, estimate: CREDIT });
  }
  const events = await told(yard);
  const types = events.map(({ type }) => type);
  expect(new Set(types)).toEqual(
    new Set([
      ...['job.succeeded', 'job.failed', 'job.canceled', 'job.expired'],
      ...['credits.low', 'credits.held', 'credits.resumed'],
    ]),
  );

  // Of a job that was retried the last end alone can be told again.
  const undone = new Set([twice, found]);
  const last = events.filter(({ job_id: job = '', job: then }) => !undone.has(job) || then?.endings === '2');
  expect(last).toHaveLength(events.length - 2);
  expect(byId(await missedBy(yard, id, '*'))).toEqual(byId(last));
}, 60_000);

test("a job's and a batch's own webhook are told again under the same ids, at the origin where they were told", async () => {
  await using yard = await openTellingYard({ env: { RENDER_ATTEMPTS: '1' }, workers: 1 });
  await using own = await openHttpReceiver();
  await using other = await openHttpReceiver();
  await yard.upstream.fault({ effect: { kind: 'status', status: 400 } });
  const filter = { webhook_events_filter: 'job.failed,batch.paused' };
  const rows = Array.from({ length: 40 }, (_, i) => `row ${i}`);
  const batch = await yard.upload(rows, { webhook: own.url, ...filter });
  await yard.until(
    'it has paused itself',
    async () => (await yard.get(`/v1/batches/${batch}`)).json.status === 'paused',
  );
  const job = await yard.render('a fox', { webhook: `${own.url}/of-a-job` });
  await yard.render('an owl', { webhook: other.url });
  await yard.ended(job);
  const idle = async () => (await yard.get(`/v1/batches/${batch}`)).json.counts.processing === 0;
  await yard.until('no row is on its way', idle);
  const { failed } = (await yard.get(`/v1/batches/${batch}`)).json.counts;
  await yard.until('all was told', () => own.ids.size === failed + 2 && other.ids.size === 1);
  const [known] = await yard.webhooks
    .list('default', { limit: 1000 })
    .then((all) => all.filter(({ jobId }) => jobId === job));
  const missed = await missedBy(yard, known?.receiver ?? '', undefined);
  expect(missed.map(({ id }) => id).sort()).toEqual([...own.ids].sort());
  expect(new Set(missed.map(({ type }) => type))).toEqual(new Set(['job.failed', 'batch.paused']));
  expect(missed.filter(({ job_id: about }) => about === job).flatMap(({ to }) => to)).toEqual([
    { url: `${own.url}/of-a-job` },
  ]);
}, 60_000);
