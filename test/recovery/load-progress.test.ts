import { rowsKey } from '@renderyard/shared/batch/batch-layout';
import type { RowResult } from '@renderyard/shared/batch/row-result';
import { loadProgress } from '@renderyard/shared/recovery/load-progress';
import type { UncertainCall } from '@renderyard/shared/recovery/row-tally';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decisionOf, failureOf, IMAGE_COST, resultOf, storeBatch, storeRowImage } from '../support/stored-batch.ts';
import { openYard } from './yard.ts';

const ROWS = 12;
const PER_PART = 4;

/** The rows whose bit is set, as Redis's GETBIT would tell. */
function rowsOf(bytes: Uint8Array): number[] {
  const rows: number[] = [];
  for (let i = 0; i < bytes.length * 8; i++) if (((bytes[i >> 3] ?? 0) >> (7 - (i & 7))) & 1) rows.push(i + 1);
  return rows;
}

/** What may be known of one row: nothing, a result of some run, an image that no result tells of, or both. */
const rowState = fc.record({
  result: fc.option(fc.record({ status: fc.constantFrom('succeeded', 'failed'), run: fc.nat(2) }), { nil: undefined }),
  image: fc.boolean(),
  uncertain: fc.nat(2),
});

describe('progress read from the store', () => {
  test('is consistent for any results, images and decisions', async () => {
    await using yard = await openYard();
    await fc.assert(
      fc.asyncProperty(
        fc.array(rowState, { minLength: ROWS, maxLength: ROWS }),
        fc.nat(2),
        fc.constantFrom('running', 'paused', 'canceled'),
        async (states, runs, status) => {
          const { record, rows } = await storeBatch(yard.store, { rows: ROWS, perPart: PER_PART });
          const decision = decisionOf({ runs, status });
          const uncertain = new Map<number, UncertainCall[]>();
          const byPart = new Map<number, RowResult[]>();
          for (const [i, row] of rows.entries()) {
            const state = states[i];
            if (state === undefined) continue;
            if (state.uncertain > 0)
              uncertain.set(
                row.row,
                Array.from({ length: state.uncertain }, (_, n) => ({
                  call: `call_${row.row}_${n}`,
                  estimate: 1,
                  startedAt: 1500 + n,
                  limited: n > 0,
                })),
              );
            if (state.image) await storeRowImage(yard.store, record.id, row);
            if (state.result === undefined) continue;
            const { status: ended, run } = state.result;
            const part = Math.floor(i / PER_PART);
            const results = byPart.get(part) ?? [];
            byPart.set(part, results);
            results.push(ended === 'succeeded' ? resultOf(record.id, row, { run }) : failureOf(row.row, { run }));
          }
          for (const [part, results] of byPart) await yard.files.writeResults(record.id, part, 5000, results);

          const progress = await loadProgress(yard, record, decision, { foundAt: 9000, uncertain });

          const expected = states.map(({ result, image }) => {
            if (result?.status === 'succeeded') return 'ok';
            if (result !== undefined && result.run >= runs) return 'failed';
            if (image) return 'ok';
            return result === undefined ? 'fresh' : 'due';
          });
          const numbers = (kind: string) => expected.flatMap((each, i) => (each === kind ? [i + 1] : []));
          expect(rowsOf(progress.succeeded)).toEqual(numbers('ok'));
          expect(rowsOf(progress.failed)).toEqual(numbers('failed'));
          expect(progress.counts).toEqual({ succeeded: numbers('ok').length, failed: numbers('failed').length });
          const touched = states.map(({ uncertain: calls }, i) => expected[i] !== 'fresh' || calls > 0);
          expect(progress.cursor).toBe(touched.lastIndexOf(true) + 1);
          const open = [...numbers('fresh'), ...numbers('due')].sort((a, b) => a - b);
          expect(rowsOf(progress.again)).toEqual(open.filter((row) => row <= progress.cursor));
          // Each image is paid for once, whether a result told of it or not.
          const paid = states.filter(
            ({ result, image }) => result?.status === 'succeeded' || (image && (result?.run ?? -1) < runs),
          ).length;
          const unknown = states.reduce((sum, { uncertain: calls }) => sum + calls, 0);
          expect(progress.uncertain).toBe(unknown);
          expect(progress.cost).toBe(paid * IMAGE_COST + unknown);

          // Rows that go on take along what no result tells of; nothing else is to be told of.
          const goOn = states.flatMap(({ uncertain: calls }, i) =>
            calls > 0 && ['fresh', 'due'].includes(expected[i] ?? '')
              ? [{ row: i + 1, calls, limited: calls - 1, cost: calls, startedAt: 1500 }]
              : [],
          );
          expect(progress.begun).toEqual(goOn);

          // What was found lies in the store now: it is read once more as it is, without looking for images.
          const again = await loadProgress(yard, record, decision, { uncertain });
          expect(again).toEqual({ ...progress, found: 0, foundCalls: [] });
        },
      ),
      { numRuns: 40 },
    );
  }, 60_000);

  test('has the newest version of each part, and leaves the older ones alone', async () => {
    await using yard = await openYard();
    const { record, decision, rows } = await storeBatch(yard.store, { rows: ROWS, perPart: PER_PART });
    const [first, second] = rows.map((row) => resultOf(record.id, row));
    await yard.files.writeResults(record.id, 0, 5000, [first as RowResult]);
    await yard.files.writeResults(record.id, 0, 6000, [first as RowResult, second as RowResult]);
    const progress = await loadProgress(yard, record, decision);
    expect([...progress.versions]).toEqual([[0, 6000]]);
    expect(progress.counts.succeeded).toBe(2);
    expect(progress.startedAt).toBe(2000);
  });

  test('takes no image that another job made, and none behind a thousand rows without one', async () => {
    await using yard = await openYard();
    const { record, decision, rows } = await storeBatch(yard.store, { rows: 2200, perPart: 500 });
    const [foreign, own, far] = [rows[0], rows[600], rows[2100]] as [Row, Row, Row];
    await storeRowImage(yard.store, record.id, foreign, { job: 'job_of_another' });
    await storeRowImage(yard.store, record.id, own, { extension: 'webp' });
    await storeRowImage(yard.store, record.id, far);
    const progress = await loadProgress(yard, record, decision, { foundAt: 9000 });
    expect(rowsOf(progress.succeeded)).toEqual([own.row]);
    expect(progress.found).toBe(1);
    expect(progress.cursor).toBe(own.row);
    expect(await yard.files.readResults(record.id, 1, 9000)).toEqual(
      new Map([[own.row, expect.objectContaining({ row: own.row, status: 'succeeded', cost: IMAGE_COST })]]),
    );
  });

  test('counts a call as known, and not as uncertain, once its image is found', async () => {
    await using yard = await openYard();
    const { record, decision, rows } = await storeBatch(yard.store, { rows: 3 });
    await storeRowImage(yard.store, record.id, rows[1] as Row, { call: 'call_found' });
    const uncertain = new Map([
      [2, [{ call: 'call_found', estimate: 7, startedAt: 5, limited: true }]],
      [3, [{ call: 'call_lost', estimate: 11, startedAt: 6, limited: true }]],
    ]);
    const progress = await loadProgress(yard, record, decision, { foundAt: 9000, uncertain });
    expect(progress).toMatchObject({ cost: IMAGE_COST + 11, uncertain: 1, cursor: 3, foundCalls: ['call_found'] });
    expect(rowsOf(progress.again)).toEqual([1, 3]);
  });

  test('has calls of which none told in the result that an image makes, but for the one that brought it', async () => {
    await using yard = await openYard();
    const { record, decision, rows } = await storeBatch(yard.store, { rows: 2, decisions: [decisionOf({ runs: 1 })] });
    await yard.files.writeResults(record.id, 0, 5000, [failureOf(1, { attempts: 2, uncertain: 1, cost: 3 })]);
    await storeRowImage(yard.store, record.id, rows[0] as Row, { call: 'call_c' });
    const calls = ['call_a', 'call_b', 'call_c'].map((call) => ({ call, estimate: 3, startedAt: 1500, limited: true }));
    const progress = await loadProgress(yard, record, decision, { foundAt: 9000, uncertain: new Map([[1, calls]]) });
    expect(progress).toMatchObject({ uncertain: 2, cost: IMAGE_COST + 6, begun: [] });
    expect((await yard.files.readResults(record.id, 0, 9000))?.get(1)).toMatchObject({
      attempts: 4,
      uncertain: 2,
      cost: IMAGE_COST + 6,
    });
  });

  test('is refused where a part of the rows is missing', async () => {
    await using yard = await openYard();
    const { record, decision } = await storeBatch(yard.store, { rows: ROWS, perPart: PER_PART });
    await yard.store.delete([rowsKey(record.id, record.upload, 1)]);
    await expect(loadProgress(yard, record, decision)).rejects.toThrow('rows/000001-upload1.ndjson');
  });
});

type Row = Awaited<ReturnType<typeof storeBatch>>['rows'][number];
