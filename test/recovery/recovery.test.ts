import { manifestKey, recordKey } from '@renderyard/shared/batch/batch-layout';
import { rowJobId } from '@renderyard/shared/batch/row';
import { uncertainKey } from '@renderyard/shared/credits/uncertain-note';
import { newId } from '@renderyard/shared/ids';
import { GenerationLostError } from '@renderyard/shared/redis/script';
import type { Store } from '@renderyard/shared/store/store';
import { StoreError } from '@renderyard/shared/store/store-error';
import { describe, expect, test } from 'vitest';
import { decisionOf, failureOf, resultOf, storeBatch, storeRowImage } from '../support/stored-batch.ts';
import { openYard } from './yard.ts';

const HOLD = { reason: 'batch_paused', since: 5, detail: 'Paused.' } as const;

describe('a Redis without a mark', () => {
  test('is marked at once where the store is empty and nobody worked before', async () => {
    await using yard = await openYard();
    const one = yard.openProcess({ id: 'wrk_1', busy: () => 0 });
    const began = Date.now();
    expect(one.recovery.rebuilding).toBe(true);
    await one.recovery.ensure();
    expect(Date.now() - began).toBeLessThan(1000);
    expect(one.recovery.rebuilding).toBe(false);
    expect(await yard.redis.get(`${yard.prefix}generation`)).toBe(one.generation.current);
    expect(await yard.redis.exists(`${yard.prefix}rebuild:lock`)).toBe(0);
    // Beside the mark stands which store it belongs to.
    expect(one.recovery.storeId).toMatch(/^[\w-]{16}$/);
    expect(await yard.redis.get(`${yard.prefix}store`)).toBe(one.recovery.storeId);
  });

  test('gets one mark of many processes that start at once, and one of them rebuilds', async () => {
    await using yard = await openYard();
    const processes = Array.from({ length: 6 }, (_, i) =>
      yard.openProcess(i % 2 === 0 ? undefined : { id: `wrk_${i}`, busy: () => 0 }),
    );
    await Promise.all(processes.map(({ recovery }) => recovery.ensure()));
    expect(new Set(processes.map(({ generation }) => generation.current)).size).toBe(1);
    expect(yard.logs.filter(({ msg }) => String(msg).includes('was rebuilt'))).toHaveLength(1);
  });

  test('gets back batches as the store has them, each account its list', async () => {
    await using yard = await openYard();
    const running = await storeBatch(yard.store, { rows: 6, decisions: [decisionOf({ budget: 77, name: 'six' })] });
    const paused = await storeBatch(yard.store, {
      decisions: [decisionOf(), decisionOf({ seq: 2, status: 'paused', hold: HOLD })],
    });
    const canceled = await storeBatch(yard.store, {
      account: 'other',
      decisions: [decisionOf(), decisionOf({ seq: 2, status: 'canceled' })],
    });
    const ended = await storeBatch(yard.store);
    await yard.store.delete([`open/${ended.record.id}`]);
    await yard.store.put(manifestKey(ended.record.id), Buffer.from('{}'), { contentType: 'application/json' });
    const [first, second, third] = running.rows as [Row, Row, Row];
    await yard.files.writeResults(running.record.id, 0, 5000, [resultOf(running.record.id, first), failureOf(2)]);
    await storeRowImage(yard.store, running.record.id, third);
    expect(second.row).toBe(2);

    const { recovery, states, generation } = yard.openProcess();
    await recovery.ensure();

    expect(await states.get(running.record.id)).toMatchObject({
      status: 'running',
      total: 6,
      succeeded: 2,
      failed: 1,
      budget: 77,
      name: 'six',
      startedAt: 2000,
    });
    expect(await yard.redis.hget(`${yard.prefix}batch:${running.record.id}`, 'cursor')).toBe('3');
    expect(await states.get(paused.record.id)).toMatchObject({ status: 'paused', hold: HOLD, decision: 2 });
    expect(await states.get(canceled.record.id)).toMatchObject({ status: 'canceling' });
    expect(await states.get(ended.record.id)).toBeUndefined();
    expect(await states.list('acme', { limit: 10 })).toEqual(
      [running, paused, ended]
        .map(({ record }) => record.id)
        .sort()
        .reverse(),
    );
    expect(await states.list('other', { limit: 10 })).toEqual([canceled.record.id]);
    // A canceled batch has nothing more to do than to be written to its end.
    expect(await states.takeFlush(1000)).toMatchObject({ batch: canceled.record.id, ending: true });
    expect(await yard.redis.hget(`${yard.prefix}credits`, 'doubt')).toBe('1');
    expect(generation.current).toBe(await yard.redis.get(`${yard.prefix}generation`));
    expect(yard.logs.find(({ msg }) => String(msg).includes('was rebuilt'))).toMatchObject({
      batches: 3,
      left_out: 0,
      listed: 4,
      rows_ended: 3,
      images_found: 1,
      ms: expect.any(Number),
    });
  });

  test('gets back all other batches where some are damaged, and uploads that are no batch yet are left alone', async () => {
    await using yard = await openYard();
    const damaged = await storeBatch(yard.store);
    await yard.store.put(recordKey(damaged.record.id), Buffer.from('{"for'), { contentType: 'application/json' });
    const lost = await storeBatch(yard.store);
    await yard.store.delete([`batches/${lost.record.id}/rows/000000-upload1.ndjson`]);
    const undecided = await storeBatch(yard.store, { decisions: [] });
    const uploading = newId('bat');
    for (const key of [`open/${uploading}`, `uploads/${uploading}`, `accounts/acme/batches/${uploading}`])
      await yard.store.put(key, Buffer.alloc(0), { contentType: 'application/json' });
    const whole = await storeBatch(yard.store);
    const { recovery, states } = yard.openProcess();
    await recovery.ensure();
    expect(await states.get(whole.record.id)).toMatchObject({ status: 'running' });
    for (const { record } of [damaged, lost, undecided]) {
      expect(await states.get(record.id)).toBeUndefined();
      expect(yard.logs).toContainEqual(expect.objectContaining({ level: 50, batch: record.id }));
    }
    expect(await states.list('acme', { limit: 10 })).not.toContain(uploading);
  });

  test('gets back the calls whose outcome is unknown, but for those whose image is there', async () => {
    await using yard = await openYard();
    const { record, rows } = await storeBatch(yard.store);
    const [unknown, found, old] = [newId('call'), newId('call'), newId('call')];
    const now = Date.now();
    const note = (call: string, row: number, startedAt: number) =>
      yard.store.put(
        uncertainKey(call),
        Buffer.from(
          JSON.stringify({
            job: rowJobId(record.id, row),
            of_batch: true,
            worker: 'wrk_gone',
            class: 'a',
            guess: 100,
            estimate: 100,
            seq: 1,
            how: 'timeout',
            at: startedAt,
            started_at: startedAt,
            resolve_after: startedAt + 60_000,
          }),
        ),
        { contentType: 'application/json' },
      );
    await note(unknown, 1, now);
    await note(found, 2, now);
    await note(old, 3, now - 3_600_000);
    await yard.store.put(uncertainKey(newId('call')), Buffer.from('no JSON'), { contentType: 'application/json' });
    await storeRowImage(yard.store, record.id, rows[1] as Row, { call: found });
    const { recovery, states } = yard.openProcess();
    await recovery.ensure();
    const calls = await yard.redis.hgetall(`${yard.prefix}uncertain`);
    expect(Object.keys(calls).sort()).toEqual([unknown, old].sort());
    expect(JSON.parse(calls[unknown] ?? '')).toMatchObject({ charged: true, resolved: false, estimate: 100 });
    expect(JSON.parse(calls[old] ?? '')).toMatchObject({ resolved: true });
    // What the old one has cost is in every balance that is read from now on.
    expect(await yard.redis.hget(`${yard.prefix}credits`, 'uncertain')).toBe('100');
    expect(await states.get(record.id)).toMatchObject({ uncertain: 2, succeeded: 1 });
    expect(await yard.store.head(uncertainKey(found))).toBeUndefined();
  });
});

describe('while a Redis is rebuilt', () => {
  test('calls in flight are waited for, what they bring is found, and one worker that died is not', async () => {
    await using yard = await openYard();
    let calls = 1;
    const worker = yard.openProcess({ id: 'wrk_1', busy: () => calls });
    await worker.recovery.ensure();
    const { record, rows } = await storeBatch(yard.store);
    await yard.empty();
    await expect(worker.states.takeFlush(1000)).rejects.toThrow(GenerationLostError);
    const rebuilt = Promise.all([worker.recovery.ensure(), yard.openProcess().recovery.ensure()]);
    await yard.until('the worker tells of its call', async () =>
      (await yard.redis.hvals(`${yard.prefix}rebuild:workers`)).some((text) => text.endsWith(' 1')),
    );
    expect(worker.recovery.rebuilding).toBe(true);
    // It tells again and again, for longer than is waited for those who have nothing in flight.
    const began = Date.now();
    await yard.until('it has told for a second', async () => {
      const [told = ''] = await yard.redis.hvals(`${yard.prefix}rebuild:workers`);
      return Number(told.split(' ')[0]) > began + 1000;
    });
    expect(await yard.redis.exists(`${yard.prefix}generation`)).toBe(0);
    await storeRowImage(yard.store, record.id, rows[0] as Row);
    calls = 0;
    await rebuilt;
    expect(await worker.states.get(record.id)).toMatchObject({ succeeded: 1 });
    expect(yard.logs).toContainEqual(
      expect.objectContaining({ level: 50, msg: expect.stringContaining('was emptied') }),
    );
  });

  test('a process that stops gives the rebuild up, and another does it', async () => {
    await using yard = await openYard();
    await storeBatch(yard.store);
    const busy = { id: 'wrk_1', busy: () => 1 };
    const first = yard.openProcess(busy);
    const broken = first.recovery.ensure().catch((error: unknown) => error);
    await yard.until(
      'the first has the lock',
      async () => (await yard.redis.exists(`${yard.prefix}rebuild:lock`)) === 1,
    );
    const second = yard.openProcess();
    const done = second.recovery.ensure();
    await first.recovery.stop();
    expect(await broken).toBeInstanceOf(Error);
    // The worker that stopped tells no more; nothing is waited for but its silence.
    await yard.redis.del(`${yard.prefix}rebuild:workers`);
    await done;
    expect(second.recovery.rebuilding).toBe(false);
  });

  test('who has lost the lock changes nothing any more', async () => {
    await using yard = await openYard();
    const { record, rows } = await storeBatch(yard.store, { rows: 3 });
    const forgotten = await storeBatch(yard.store);
    let onRead = async () => {};
    const slow: Store = {
      ...yard.store,
      list: (prefix, options) => {
        const listing = yard.store.list(prefix, options);
        return (async function* () {
          if (prefix === `batches/${forgotten.record.id}/decisions/`) await onRead();
          yield* listing;
        })();
      },
    };
    const frozen = yard.openProcess(undefined, slow);
    const other = yard.openProcess();
    onRead = async () => {
      onRead = async () => {};
      // As if the process had been frozen here for longer than its lock lasts.
      await yard.redis.del(`${yard.prefix}rebuild:lock`);
      await storeRowImage(yard.store, record.id, rows[2] as Row);
      await other.recovery.ensure();
      await other.states.decide(record.id, decisionOf({ seq: 2, status: 'canceled' }));
      // It has ended and was forgotten: what was read of it before must not make it run again.
      await yard.redis.del(`${yard.prefix}batch:${forgotten.record.id}`);
    };
    await frozen.recovery.ensure().catch((error: unknown) => expect(error).toBeInstanceOf(GenerationLostError));
    await frozen.recovery.ensure();
    expect(frozen.generation.current).toBe(other.generation.current);
    expect(await other.states.get(record.id)).toMatchObject({ status: 'canceling', succeeded: 1, decision: 2 });
    expect(await other.states.get(forgotten.record.id)).toBeUndefined();
    expect(yard.logs.filter(({ msg }) => String(msg).includes('was rebuilt'))).toHaveLength(1);
  });

  test('what an unfinished rebuild has opened is read anew', async () => {
    await using yard = await openYard();
    const { record, rows } = await storeBatch(yard.store, { rows: 3 });
    const failing: Store = {
      ...yard.store,
      list: (prefix, options) => {
        if (prefix === 'accounts/') throw new StoreError('unavailable', 'The store is away.');
        return yard.store.list(prefix, options);
      },
    };
    await expect(yard.openProcess(undefined, failing).recovery.ensure()).rejects.toThrow('The store is away.');
    expect(await yard.redis.exists(`${yard.prefix}batch:${record.id}`)).toBe(1);
    expect(await yard.redis.exists(`${yard.prefix}generation`)).toBe(0);
    await storeRowImage(yard.store, record.id, rows[0] as Row);
    const { recovery, states } = yard.openProcess();
    await recovery.ensure();
    expect(await states.get(record.id)).toMatchObject({ succeeded: 1 });
  });

  test('a store that is away is told once, and the rebuild is done when it is back', async () => {
    await using yard = await openYard();
    await storeBatch(yard.store);
    let away = true;
    let tries = 0;
    const store: Store = {
      ...yard.store,
      list: (prefix, options) => {
        if (!away) return yard.store.list(prefix, options);
        tries++;
        throw new StoreError('unavailable', 'The store is away.');
      },
    };
    const { recovery } = yard.openProcess(undefined, store);
    recovery.watch();
    await yard.until('it was tried twice', () => tries >= 2);
    away = false;
    await yard.until('it is rebuilt', () => !recovery.rebuilding);
    expect(yard.logs.filter(({ level }) => level === 50)).toHaveLength(1);
  });
});

describe('a watch', () => {
  test('notices within about a second that Redis was emptied, with nobody asking', async () => {
    await using yard = await openYard();
    const { recovery, generation } = yard.openProcess();
    await recovery.ensure();
    const before = generation.current;
    recovery.watch();
    await yard.empty();
    await yard.until('it is noticed', () => recovery.rebuilding);
    await yard.until('there is another mark', () => !recovery.rebuilding);
    expect(generation.current).not.toBe(before);
  });

  test('takes a mark that only was lost for what it is: Redis knows more than the store', async () => {
    await using yard = await openYard();
    const { recovery, states } = yard.openProcess();
    const { record, decision } = await storeBatch(yard.store, { rows: 4 });
    await recovery.ensure();
    await yard.redis.hset(`${yard.prefix}batch:${record.id}`, 'succeeded', '3');
    await yard.redis.del(`${yard.prefix}generation`);
    await yard.files.writeDecision(record.id, { ...decision, seq: 2, status: 'canceled' });
    await recovery.ensure();
    expect(await states.get(record.id)).toMatchObject({ succeeded: 3, status: 'canceling' });
  });
});

type Row = Awaited<ReturnType<typeof storeBatch>>['rows'][number];
