import { MOST_FAILING_MS } from '@renderyard/shared/webhook/delivery-store';
import { describe, expect, it } from 'vitest';
import { AT_ONCE, openWebhookBatchBench, openWebhookBench } from './webhook-bench.ts';

const HOUR_MS = 3_600_000;

describe('an endpoint that answers that it is gone', () => {
  it('is disabled at once, and hears of nothing more', async () => {
    await using bench = await openWebhookBench();
    const since = Date.now();
    const id = await bench.endpoint();
    await bench.deliver(id, 3);
    const [one, ...others] = await bench.take();
    if (one === undefined) throw new Error('nothing was due');
    expect(await bench.record(one, 'gone')).toEqual({ status: 'failed', late: false, disabled: 'gone' });
    const state = await bench.store.receiver(id);
    expect(state).toMatchObject({ state: 'disabled', reason: 'gone', undecided: true });
    expect(state.disabledAt).toBeGreaterThanOrEqual(since);
    expect(state.missedSince).toBe(state.disabledAt);
    expect(await bench.store.undecided()).toEqual([{ id, account: 'acme' }]);
    expect(await bench.redis.exists(`${bench.prefix}hooked`)).toBe(0);
    // Those on their way may end as they like: it is disabled once.
    for (const other of others) expect(await bench.record(other, 'gone')).toMatchObject({ disabled: undefined });
    await bench.jobs.cancel(await bench.job());
    expect(await bench.outbox()).toEqual([]);
    expect(await bench.shown()).toEqual(['endpoint.disabled', 'job.queued', 'job.canceled']);
    expect((await bench.store.receiver(id)).disabledAt).toBe(state.disabledAt);
  });

  it('is told of to the others of its account that hear of it, once', async () => {
    await using bench = await openWebhookBench();
    const id = await bench.endpoint({ url: 'https://gone.example/' });
    const hears = await bench.endpoint({ events: ['endpoint.disabled'] });
    const all = await bench.endpoint();
    await bench.endpoint({ events: ['job.succeeded'] });
    await bench.endpoint({}, 'somebody');
    await bench.endpoint({ id: await bench.endpoint(), state: 'disabled', reason: 'by_hand', disabledAt: 1 });
    await bench.deliver(id, 2);
    for (const one of await bench.take()) await bench.record(one, 'gone');
    const events = await bench.outbox();
    expect(events.length).toBe(1);
    expect(events[0]).toMatchObject({
      type: 'endpoint.disabled',
      account: 'acme',
      endpoint: { id, url: 'https://gone.example/', reason: 'gone' },
    });
    expect(events[0]?.to.map((to) => 'webhook' in to && to.webhook).sort()).toEqual([hears, all].sort());
  });

  it('keeps what waits for it, which goes on when it is enabled', async () => {
    await using bench = await openWebhookBench();
    const id = await bench.endpoint();
    const ids = await bench.deliver(id, 6);
    const [first, ...others] = await bench.take();
    if (first === undefined) throw new Error('nothing was due');
    await bench.record(first, 'gone');
    for (const one of others) await bench.record(one, 'failed', { waitMs: 0 });
    await bench.pass(24 * HOUR_MS);
    expect(await bench.take()).toEqual([]);
    expect((await bench.store.receiver(id)).waiting).toBe(5);
    await bench.endpoint({ id });
    expect(await bench.store.receiver(id)).toMatchObject({
      state: 'enabled',
      reason: undefined,
      disabledAt: undefined,
      undecided: false,
      failingSince: undefined,
    });
    expect(await bench.store.undecided()).toEqual([]);
    const taken = await bench.take();
    expect(taken.length).toBe(AT_ONCE);
    for (const one of taken) await bench.record(one);
    await bench.record(await bench.takeOne());
    expect(await bench.ids('succeeded')).toEqual([...ids].sort().filter((each) => each !== first.delivery.id));
  });

  it('is enabled again by what is decided after it, not by what was decided before', async () => {
    await using bench = await openWebhookBench();
    const id = await bench.endpoint();
    await bench.deliver(id, 2);
    await bench.take({ most: 1 }).then(([one]) => one && bench.record(one, 'gone'));
    const { disabledAt = 0 } = await bench.store.receiver(id);
    // Somebody changed its events, and did not know yet.
    for (const at of [disabledAt - 1, disabledAt]) {
      await bench.endpoint({ id, events: ['job.failed'], url: 'https://other.example/' }, 'acme', at);
      expect(await bench.store.receiver(id)).toMatchObject({ state: 'disabled', undecided: true, reason: 'gone' });
      expect(await bench.take()).toEqual([]);
      expect(await bench.redis.exists(`${bench.prefix}hooks:acme`)).toBe(0);
    }
    // As it is then kept in the store, and decided.
    await bench.endpoint({ id, state: 'disabled', reason: 'gone', disabledAt }, 'acme', disabledAt + 1);
    expect(await bench.store.receiver(id)).toMatchObject({ state: 'disabled', undecided: false, disabledAt });
    expect(await bench.store.undecided()).toEqual([]);
    await bench.endpoint({ id, state: 'enabled' }, 'acme', disabledAt + 2);
    expect((await bench.takeOne()).url).toBe('https://other.example/');
    expect(await bench.redis.hgetall(`${bench.prefix}hooks:acme`)).toEqual({ [id]: ' job.failed ' });
  });

  it('at a place that it has left is asked at the new one, and stays enabled', async () => {
    await using bench = await openWebhookBench();
    const id = await bench.endpoint({ url: 'https://old.example/' });
    await bench.deliver(id);
    const one = await bench.takeOne();
    await bench.endpoint({ id, url: 'https://new.example/' });
    expect(await bench.record(one, 'gone', { waitMs: undefined })).toMatchObject({
      status: 'pending',
      disabled: undefined,
    });
    expect(await bench.store.receiver(id)).toMatchObject({ state: 'enabled' });
    const next = await bench.takeOne();
    expect([next.delivery.id, next.url]).toEqual([one.delivery.id, 'https://new.example/']);
    expect(await bench.record(next, 'gone', { waitMs: undefined })).toMatchObject({ disabled: 'gone' });
  });
});

describe('an endpoint that fails', () => {
  it('is disabled after five days in which nothing succeeded', async () => {
    await using bench = await openWebhookBench();
    const id = await bench.endpoint();
    await bench.deliver(id);
    const fail = async () => bench.record(await bench.takeOne(), 'failed', { waitMs: HOUR_MS });
    expect(await fail()).toMatchObject({ disabled: undefined });
    await bench.pass(MOST_FAILING_MS - HOUR_MS);
    expect(await fail()).toMatchObject({ disabled: undefined });
    await bench.pass(HOUR_MS);
    expect(await fail()).toEqual({ status: 'pending', late: false, disabled: 'failing' });
    expect(await bench.store.receiver(id)).toMatchObject({
      state: 'disabled',
      reason: 'failing',
      undecided: true,
      waiting: 1,
    });
    await bench.pass(HOUR_MS);
    expect(await bench.take()).toEqual([]);
  });

  it('has five days anew after a success in between', async () => {
    await using bench = await openWebhookBench();
    const id = await bench.endpoint();
    const attempt = async (verdict: 'ok' | 'failed') => {
      await bench.deliver(id);
      return bench.record(await bench.takeOne(), verdict, {});
    };
    await attempt('failed');
    await bench.pass(MOST_FAILING_MS - HOUR_MS);
    await attempt('ok');
    await attempt('failed');
    await bench.pass(MOST_FAILING_MS - HOUR_MS);
    expect(await attempt('failed')).toMatchObject({ disabled: undefined });
    await bench.pass(HOUR_MS);
    expect(await attempt('failed')).toMatchObject({ disabled: 'failing' });
  });

  it('has five days anew after it was enabled again', async () => {
    await using bench = await openWebhookBench();
    const id = await bench.endpoint();
    await bench.deliver(id, 3);
    const [first, ...others] = await bench.take();
    if (first === undefined) throw new Error('nothing was due');
    await bench.record(first, 'failed', {});
    await bench.pass(MOST_FAILING_MS);
    for (const one of others) await bench.record(one, 'failed', {});
    expect((await bench.store.receiver(id)).state).toBe('disabled');
    await bench.endpoint({ id });
    await bench.deliver(id);
    expect(await bench.record(await bench.takeOne(), 'failed', {})).toMatchObject({ disabled: undefined });
    expect((await bench.store.receiver(id)).state).toBe('enabled');
  });

  it('is another matter than the own webhooks of jobs, which are never disabled', async () => {
    await using bench = await openWebhookBench();
    const own = { url: 'https://own.example/' };
    for (const verdict of ['failed', 'gone', 'failed'] as const) {
      await bench.deliver(own);
      expect(await bench.record(await bench.takeOne(), verdict, {})).toMatchObject({
        status: 'failed',
        disabled: undefined,
      });
      await bench.pass(MOST_FAILING_MS);
    }
    await bench.deliver(own);
    expect((await bench.take()).length).toBe(1);
    expect(await bench.store.undecided()).toEqual([]);
  });
});

describe("a batch's own webhook that is gone", () => {
  const url = 'https://own.example/batch';

  it('is told of no more, until another is named', async () => {
    await using bench = await openWebhookBatchBench();
    const id = await bench.open(4, { decision: { webhook: url, webhook_events: ['batch.paused'] } });
    await bench.deliver({ url }, 1, { batchId: id });
    await bench.record(await bench.takeOne(), 'gone');
    expect((await bench.state(id)).webhook).toBeUndefined();
    await bench.decide(id, { status: 'paused' });
    await bench.decide(id, { status: 'running' });
    expect(await bench.outbox()).toEqual([]);
    await bench.decide(id, { webhook: `${url}/2` });
    await bench.decide(id, { webhook: url });
    await bench.decide(id, { status: 'paused' });
    expect((await bench.outbox()).map(({ to }) => to)).toEqual([[{ url }]]);
  });

  it('is sent nothing of what waits, but for what somebody sends again', async () => {
    await using bench = await openWebhookBatchBench();
    const id = await bench.open(4, { decision: { webhook: url } });
    const other = await bench.open(4, { decision: { webhook: url } });
    const waiting = await bench.deliver({ url }, 6, { batchId: id });
    const [others = ''] = await bench.deliver({ url }, 1, { batchId: other });
    const [first, ...onTheirWay] = await bench.take({ most: 2 });
    if (first === undefined) throw new Error('nothing was due');
    await bench.record(first, 'gone');
    for (const one of onTheirWay) await bench.record(one, 'ok');
    const left = await bench.take();
    expect(left.map(({ delivery }) => delivery.id)).toEqual([others]);
    expect((await bench.ids('failed')).length).toBe(5);
    for (const one of left) await bench.record(one, 'ok');
    const again = waiting.at(-1) ?? '';
    expect(await bench.store.replay('acme', [again])).toEqual([again]);
    expect((await bench.takeOne()).delivery.id).toBe(again);
  });

  it('does not take the place of the one that was set since', async () => {
    await using bench = await openWebhookBatchBench();
    const id = await bench.open(4, { decision: { webhook: url } });
    await bench.deliver({ url }, 1, { batchId: id });
    await bench.decide(id, { webhook: 'https://own.example/other' });
    await bench.record(await bench.takeOne(), 'gone');
    expect((await bench.state(id)).webhook).toBe('https://own.example/other');
  });

  it('does not bring back a batch that is forgotten', async () => {
    await using bench = await openWebhookBatchBench();
    await bench.deliver({ url }, 1, { batchId: 'bat_1' });
    await bench.record(await bench.takeOne(), 'gone');
    expect(await bench.redis.exists(`${bench.prefix}batch:bat_1`)).toBe(0);
  });
});

describe('decisions about endpoints', () => {
  it('hold in the order in which they were made, whichever comes first', async () => {
    await using bench = await openWebhookBench();
    const known = { id: 'whk_1', url: 'https://one.example/', events: '*', state: 'enabled', secrets: '[]' } as const;
    const apply = (seq: number, endpoints: readonly (typeof known)[]) =>
      bench.store.applyEndpoints({ account: 'acme', seq, at: 1, endpoints });
    expect(await apply(2, [known])).toBe(true);
    expect(await apply(1, [])).toBe(false);
    expect(await apply(2, [])).toBe(false);
    expect(await bench.store.appliedSeq('acme')).toBe(2);
    expect((await bench.store.receiver('whk_1')).state).toBe('enabled');
    expect(await apply(3, [])).toBe(true);
    expect((await bench.store.receiver('whk_1')).state).toBeUndefined();
    expect(await apply(2, [known])).toBe(false);
    expect(await bench.redis.exists(`${bench.prefix}hooks:acme`, `${bench.prefix}whks:acme`)).toBe(0);
    expect(await bench.store.appliedSeq('somebody')).toBe(0);
  });

  it('about URL and secrets hold for the next attempt', async () => {
    await using bench = await openWebhookBench();
    const id = await bench.endpoint({ url: 'https://one.example/', secrets: '[1]' });
    await bench.deliver(id);
    await bench.record(await bench.takeOne(), 'failed', { waitMs: 0 });
    await bench.endpoint({ id, url: 'https://two.example/', secrets: '[2,1]' });
    // That it fails is still so.
    expect(await bench.takeOne()).toMatchObject({ url: 'https://two.example/', secrets: '[2,1]', failing: true });
  });

  it('of one account are of no account to another', async () => {
    await using bench = await openWebhookBench();
    const other = await bench.endpoint({}, 'somebody');
    await bench.remove(await bench.endpoint());
    expect((await bench.store.receiver(other)).state).toBe('enabled');
    expect(await bench.redis.smembers(`${bench.prefix}hooked`)).toEqual(['somebody']);
  });
});
