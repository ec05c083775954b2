import { rm } from 'node:fs/promises';
import type { RowsPart } from '@renderyard/shared/batch/batch';
import { createBatchFiles } from '@renderyard/shared/batch/batch-files';
import { recordKey, resultsKey, rowsKey } from '@renderyard/shared/batch/batch-layout';
import { toLines } from '@renderyard/shared/batch/lines';
import { type RowRecord, rowJobId } from '@renderyard/shared/batch/row';
import type { RowResult } from '@renderyard/shared/batch/row-result';
import { systemClock } from '@renderyard/shared/clock';
import { createDirectoryStore } from '@renderyard/shared/store/directory-store';
import { newMark, STATE_VERSION } from '@renderyard/shared/upgrade/state-version';
import { loadRow, RowLostError } from '@renderyard/worker/render/load-row';
import { recordEnd } from '@renderyard/worker/render/record-end';
import type { RenderDependencies } from '@renderyard/worker/render/render-dependencies';
import { describe, expect, it } from 'vitest';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { openBatchBench, PART } from './batch-bench.ts';
import { expectBatchesInOrder } from './batch-order.ts';
import { COST, LIMITS, MODEL, TRIAL_MS } from './bench.ts';
import { allKeys } from './keys.ts';

const BASE = { steps: 20, negative_prompt: 'fog' };
const row = (number: number): RowRecord => ({
  row: number,
  line: number + 1,
  key: `image-${number}`,
  seed: number,
  values: [`  prompt ${number}`, number === 2 ? ' ' : 'mist'],
  ...(number === 3 ? { input: { steps: 5 } } : {}),
});

/** A batch of two parts in a store in a folder, its rows fed. */
async function openStored() {
  const bench = await openBatchBench();
  await bench.balance(100 * COST);
  const directory = await makeTemporaryFolder('rows');
  const store = createDirectoryStore({ directory, publicUrl: 'http://a.test', signingKey: Buffer.alloc(32) });
  const files = createBatchFiles({ store });
  const put = (key: string, body: Buffer) => store.put(key, body, { contentType: 'text/plain' });
  const id = await bench.open(PART + 2);
  const partOf = (rows: number): RowsPart => ({ rows, bytes: 1, sha256: '' });
  const record = {
    ...bench.records.get(id),
    base: BASE,
    text: { prompt: 0, negative_prompt: 1 },
    parts: [partOf(PART), partOf(2)],
  };
  await put(recordKey(id), Buffer.from(JSON.stringify(record)));
  const rows = Array.from({ length: PART + 2 }, (_, i) => row(i + 1));
  await put(rowsKey(id, 'upload', 0), toLines(rows.slice(0, PART)));
  await put(rowsKey(id, 'upload', 1), toLines(rows.slice(PART)));
  return {
    ...bench,
    bench,
    id,
    store,
    put,
    files,
    /** Loads a row as a worker does when it has claimed it. */
    async load(number: number, states = bench.states) {
      const job = await bench.jobs.get(rowJobId(id, number));
      if (job === undefined) throw new Error(`row ${number} has no hash`);
      return loadRow(job, { files, states });
    },
    async [Symbol.asyncDispose]() {
      await bench[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}

describe('a row that a worker has claimed', () => {
  it('has its input from the record and its part, and its place for the image', async () => {
    await using stored = await openStored();
    await stored.jobs.takeTickets(20);
    const { job, row: end } = await stored.load(1);
    expect(job).toMatchObject({
      id: rowJobId(stored.id, 1),
      imageKey: `batches/${stored.id}/images/image-1`,
      input: { ...BASE, prompt: '  prompt 1', negative_prompt: 'mist', seed: 1 },
    });
    expect(end).toEqual({ part: 0 });
    expect((await stored.load(2)).job.input).toEqual({ ...BASE, prompt: '  prompt 2', seed: 2 });
    expect((await stored.load(3)).job.input).toMatchObject({ steps: 5 });
    expect(await stored.load(PART + 2)).toMatchObject({ job: { input: { seed: PART + 2 } }, row: { part: 1 } });
  });

  it('is a single job’s own where it is none of a batch', async () => {
    await using stored = await openStored();
    const job = await stored.jobs.get(await stored.bench.job());
    if (job === undefined) throw new Error('there is no job');
    expect(await loadRow(job, stored)).toEqual({ job, row: undefined });
  });

  it.each(['the part', 'the row', 'the record'] as const)('is lost where the store has lost %s', async (lost) => {
    await using stored = await openStored();
    await stored.jobs.takeTickets(20);
    if (lost === 'the record') await stored.store.delete([recordKey(stored.id)]);
    else await stored.store.delete([rowsKey(stored.id, 'upload', 0)]);
    if (lost === 'the row') await stored.put(rowsKey(stored.id, 'upload', 0), toLines([row(2)]));
    await expect(stored.load(1)).rejects.toBeInstanceOf(RowLostError);
  });

  describe('again', () => {
    /** Fails row 1, asks for a retry, and feeds it. */
    async function failAndRetry() {
      const stored = await openStored();
      const { bench, id } = stored;
      const [ticket] = await bench.jobs.takeTickets(1);
      if (ticket === undefined) throw new Error('no ticket');
      await bench.endRow(await bench.begin(ticket), {
        status: 'failed',
        settlement: { kind: 'spent', cost: COST },
        error: { code: 'bad_image', detail: 'It is none.' },
      });
      const result = (await bench.results(id)).get(1);
      if (result === undefined) throw new Error('there is no result');
      await bench.decide(id, { runs: 1 });
      await bench.jobs.takeTickets(20);
      const previous = { attempts: 1, uncertain: 0, cost: COST, startedAt: result.started_at };
      return { stored, result, previous };
    }

    it('knows what it came to before, from Redis', async () => {
      const { stored, previous } = await failAndRetry();
      await using _ = stored;
      expect((await stored.load(1)).row).toEqual({ part: 0, previous });
      expect((await stored.load(2)).row).toEqual({ part: 0 });
    });

    it('knows it from the store, also where the part is written anew meanwhile', async () => {
      const { stored, result, previous } = await failAndRetry();
      await using _ = stored;
      const { bench, files, id } = stored;
      const write = (version: number, results: readonly RowResult[]) => files.writeResults(id, 0, version, results);
      await bench.pass(15_000);
      const flush = await bench.states.takeFlush(1000);
      if (flush === undefined) throw new Error('nothing is due');
      await write(flush.version, [result]);
      await bench.writeParts(flush);
      expect((await stored.load(1)).row).toEqual({ part: 0, previous });

      // A newer version takes its place between the moment when it was named and its reading.
      const racing = {
        ...bench.states,
        async resultVersions(of: string) {
          const versions = await bench.states.resultVersions(of);
          const version = versions.get(0) ?? 0;
          if (version > flush.version + 1) return versions;
          await write(version + 1, [result]);
          await bench.redis.hset(`${bench.prefix}versions:${id}`, 0, version + 1);
          await stored.store.delete([resultsKey(id, 0, version)]);
          return versions;
        },
      };
      const fresh = createBatchFiles({ store: stored.store });
      const job = await bench.jobs.get(rowJobId(id, 1));
      if (job === undefined) throw new Error('row 1 has no hash');
      expect((await loadRow(job, { files: fresh, states: racing })).row).toEqual({ part: 0, previous });
    });
  });
});

describe('the end of a call', () => {
  it('waits for a Redis that was emptied to be rebuilt, and is recorded there once', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(3);
    const [ticket] = await bench.jobs.takeTickets(1);
    if (ticket === undefined) throw new Error('no ticket');
    const { id: call, job, grant } = await bench.call({ job: ticket.job });
    const claimed = await bench.jobs.get(job);
    if (claimed === undefined) throw new Error('the row has no hash');
    const generation = bench.generation.current;
    await bench.redis.del(...(await allKeys(bench.redis, bench.prefix)));

    const over: string[] = [];
    const deps = {
      generation: bench.generation,
      jobs: bench.jobs,
      policy: { trialMs: TRIAL_MS },
      limits: LIMITS,
      worker: 'worker-1',
      clock: systemClock,
      abort: new AbortController().signal,
      calls: { ended: (ended: string) => void over.push(ended) },
    } as unknown as RenderDependencies;
    const recording = recordEnd(
      { ...claimed, attempts: 0, model: MODEL },
      { id: call, grant, generation },
      { job, row: { part: 0 }, status: 'succeeded', call: { id: call, settlement: { kind: 'spent', cost: COST } } },
      deps,
    );
    // It has seen that the mark is gone, and what is rebuilt is not kept waiting for it.
    while (over.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(over).toEqual([call]);
    expect(await allKeys(bench.redis, bench.prefix)).toEqual([]);
    await bench.redis.set(`${bench.prefix}generation`, newMark({ version: STATE_VERSION }));
    await bench.generation.find();
    await bench.balance(99 * COST);
    await bench.reopen(id);
    expect(await recording).toMatchObject({ status: 'succeeded', late: false });
    expect(await bench.state(id)).toMatchObject({ succeeded: 1, processing: 0, cost: COST, reserved: 0 });
    expect((await bench.results(id)).get(1)).toMatchObject({ attempts: 1, started_at: grant.startedAt });
    expect(await bench.books()).toMatchObject({ spent: COST, reserved: 0 });
    await expectBatchesInOrder(bench, [id]);
  });
});
