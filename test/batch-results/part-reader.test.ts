import { createPartReader } from '@renderyard/api/batches/results/part-reader';
import { createBeginReading } from '@renderyard/api/plugins/same-redis';
import { manifestKey } from '@renderyard/shared/batch/batch-layout';
import { createGeneration } from '@renderyard/shared/redis/generation';
import { GenerationLostError } from '@renderyard/shared/redis/script';
import { describe, expect, test } from 'vitest';
import { type BatchBench, openBatchBench, type PutBatch } from './batch-bench.ts';

const BAD = { code: 'bad_image', detail: 'Cut off.' } as const;
/** The reads of a look at a part, in their order; something else may happen before each, and after the last. */
const POINTS = ['get', 'results', 'processing', 'resultVersions', 'get again', 'readResults', 'the end'] as const;
type Point = (typeof POINTS)[number];

/** As a request has it: by the mark that stood in Redis when it began. */
async function sameRedisOf({ api: { redis, prefix } }: BatchBench) {
  const generation = createGeneration(redis, prefix);
  await generation.find();
  return createBeginReading({ redis, prefix, generation })();
}

/** Reads part 0, and lets something happen right before one of its reads, once. */
async function readWith(bench: BatchBench, batch: PutBatch, point: Point, happens: () => Promise<unknown>) {
  const { states, files } = bench;
  let gets = 0;
  let happened = false;
  const meet = async (here: Point) => {
    if (here !== point || happened) return;
    happened = true;
    await happens();
  };
  const met = <A extends unknown[], R>(here: () => Point, read: (...args: A) => Promise<R>) =>
    (async (...args: A) => {
      await meet(here());
      return read(...args);
    }) as (...args: A) => Promise<R>;
  const reader = createPartReader({
    record: batch.record,
    sameRedis: await sameRedisOf(bench),
    states: {
      get: met(() => (gets++ === 0 ? 'get' : 'get again'), states.get),
      results: met(() => 'results', states.results),
      processing: met(() => 'processing', states.processing),
      resultVersions: met(() => 'resultVersions', states.resultVersions),
    },
    files: { ...files, readResults: met(() => 'readResults', files.readResults) },
  });
  const { rows } = await reader.read(0);
  await meet('the end');
  expect(happened).toBe(true);
  return rows.map(({ status }) => status.slice(0, 2)).join(' ');
}

/** A batch of four rows: one has ended and lies in the store, the second waits in Redis. */
async function openHalf(bench: BatchBench) {
  const rows = Array.from({ length: 4 }, (_, index) => ({ values: [`Fox ${index + 1}`] }));
  const batch = await bench.put({ columns: ['prompt'], rows });
  await bench.open(batch);
  await bench.endNext(batch, { image: '000001' });
  await bench.flush(batch);
  await bench.endNext(batch, { error: BAD });
  return batch;
}

/** Ends a batch as a worker does: all results, the manifest, and then the word. */
async function complete({ states, files }: BatchBench, { id, decision }: PutBatch) {
  const flush = await states.takeFlush(10_000);
  if (flush?.batch !== id || !flush.ending) throw new Error(`${id} does not end.`);
  const results = await states.results(id, 0);
  const stored = flush.parts.find(({ part }) => part === 0)?.version;
  const older = stored === undefined ? new Map() : await files.readResults(id, 0, stored);
  await files.writeResults(id, 0, flush.version, new Map([...(older ?? []), ...results]).values());
  await states.flushed(flush, 0, await states.unwritten(id, 0));
  if (stored !== undefined) await files.deleteResults(id, 0, stored);
  const count = { succeeded: 3, failed: 1, canceled: 0 };
  const ended = {
    status: 'completed',
    counts: count,
    cost: 0,
    uncertain: 0,
    runs: decision.runs,
    started_at: 1,
    ended_at: 2,
  };
  await files.put(
    manifestKey(id),
    Buffer.from(JSON.stringify({ ...ended, results: [{ part: 0, version: flush.version }] })),
    'application/json',
  );
  expect(await states.complete(flush, 2)).toBe(true);
}

describe.each(POINTS)('whatever happens before %s', (point) => {
  test('results that move to the store are seen, and those of before', async () => {
    await using bench = await openBatchBench();
    const batch = await openHalf(bench);
    expect(await readWith(bench, batch, point, () => bench.flush(batch))).toBe('su fa qu qu');
    expect(await readWith(bench, batch, point, async () => bench.endNext(batch, { image: '000003' }))).toMatch(
      /^su fa (su|qu) qu$/,
    );
    const again = await readWith(bench, batch, point, () => bench.flush(batch, 'older'));
    expect(again).toBe('su fa su qu');
  });

  test('the end of the batch loses no result', async () => {
    await using bench = await openBatchBench();
    const batch = await openHalf(bench);
    await bench.endNext(batch, { image: '000003' });
    await bench.endNext(batch, { image: '000004' });
    expect(await readWith(bench, batch, point, () => complete(bench, batch))).toBe('su fa su su');
    expect(await readWith(bench, batch, 'get', async () => undefined)).toBe('su fa su su');
  });

  test('what an emptied Redis no longer knows is not told as if it were so', async () => {
    await using bench = await openBatchBench();
    const batch = await openHalf(bench);
    const empty = async () => {
      const keys = await bench.api.redis.keys(`${bench.api.prefix}*`);
      await bench.api.redis.del(keys);
    };
    const reading = readWith(bench, batch, point, empty);
    if (point === 'the end') expect(await reading).toBe('su fa qu qu');
    else await expect(reading).rejects.toThrow(GenerationLostError);
  });
});

test('a retry of an ended batch has its failed rows due again, and its history is kept', async () => {
  await using bench = await openBatchBench();
  const batch = await openHalf(bench);
  await bench.endNext(batch, { image: '000003' });
  await bench.endNext(batch, { image: '000004' });
  await complete(bench, batch);
  const { states, files } = bench;
  const reader = createPartReader({ states, files, record: batch.record, sameRedis: await sameRedisOf(bench) });
  expect((await reader.read(0)).rows[1]).toMatchObject({ status: 'failed', result: { run: 0 } });
  const versions = await bench.files.resultVersions(batch.id);
  const bits = (byte: number) => Uint8Array.of(byte);
  await bench.states.open(
    batch.record,
    { ...batch.decision, seq: 2, runs: 1 },
    {
      ...{ succeeded: bits(0b10110000), failed: bits(0), again: bits(0b01000000), cursor: 4 },
      ...{ counts: { succeeded: 3, failed: 0 }, cost: 0, uncertain: 0, versions, startedAt: 1 },
    },
  );
  const { batch: now, rows } = await reader.read(0);
  expect(now).toMatchObject({ status: 'running', runs: 1 });
  expect(rows.map(({ status }) => status)).toEqual(['succeeded', 'queued', 'succeeded', 'succeeded']);
  expect(rows[1]?.result?.error).toEqual(BAD);
});
