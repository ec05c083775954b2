import type { BatchView, ResultRow } from '@renderyard/standalone/demo/batch-view';

export const BATCH_ID = 'bat_01jd0000000000000000000000';

/** A batch of three images that has ended well, but for what is told otherwise. */
export function batchView(differs: Partial<BatchView> = {}): BatchView {
  return {
    id: BATCH_ID,
    name: 'Demo: examples/prompts.csv',
    status: 'completed',
    hold: null,
    counts: {
      ...{ total: 3, rejected: 0, queued: 0, processing: 0 },
      ...{ succeeded: 3, failed: 0, canceled: 0, expired: 0 },
    },
    cost: 0.0414,
    estimate: {
      ...{ cost: 0, seconds: 0, fits: true, balance: 9.9, left: 9.9 },
      ...{ budget_left: null, key_day_left: null, key_total_left: null },
    },
    report: { rejected: { count: 0, errors: [] }, warnings: [] },
    uncertain: 0,
    rate: 60,
    eta: null,
    created_at: '2026-05-04T10:00:00.000Z',
    started_at: '2026-05-04T10:00:01.000Z',
    ended_at: '2026-05-04T10:00:46.000Z',
    ...differs,
  };
}

/** The same with some of the counts. */
export function batchWith(counts: Partial<BatchView['counts']>, differs: Partial<BatchView> = {}): BatchView {
  const view = batchView(differs);
  return { ...view, counts: { ...view.counts, ...counts } };
}

/** A row that has its image, but for what is told otherwise. */
export function resultRow(row: number, differs: Partial<ResultRow> = {}): ResultRow {
  return {
    row,
    line: row + 1,
    id: `id-${row}`,
    status: 'succeeded',
    input: { prompt: `a picture of ${row} things` },
    output: [{ key: `batches/${BATCH_ID}/images/id-${row}-7.jpg`, width: 832, height: 1216, seed: 7 }],
    error: null,
    cost: 0.0138,
    ...differs,
  };
}
