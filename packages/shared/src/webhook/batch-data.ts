import type { BatchRecord } from '../batch/batch.ts';
import type { BatchState } from '../batch/batch-state.ts';
import type { BatchView } from '../batch/batch-view.ts';
import type { BatchViewer } from '../batch/batch-viewer.ts';
import { type BodyData, omit, pick } from './fit-body.ts';

/** What the upload says: as long as somebody likes, and the same in every event. */
const UPLOADED: readonly (keyof BatchView)[] = ['metadata', 'columns', 'options'];
/** What is only in the batch's record, or is reckoned from it. */
const OF_THE_RECORD: readonly (keyof BatchView)[] = ['report', 'options', 'columns', 'source', 'estimate'];
/** Ids, numbers, times and words of ours. */
const SHORT: readonly (keyof BatchView)[] = [
  ...(['id', 'object', 'status', 'counts', 'cost', 'budget', 'rate', 'eta', 'uncertain', 'runs'] as const),
  ...(['created_at', 'started_at', 'ended_at'] as const),
];

/**
 * What a webhook tells of a batch: what a GET shows.
 * @param record undefined where the batch was deleted meanwhile: what only that says is left out.
 */
export async function batchData(
  state: BatchState,
  record: BatchRecord | undefined,
  viewer: Pick<BatchViewer, 'viewOne'>,
): Promise<BodyData> {
  const view = await viewer.viewOne({ state, record: record ?? unknownRecord(state) });
  return {
    data: record === undefined ? omit(view, OF_THE_RECORD) : view,
    isCut: record === undefined,
    less: (data) => ({
      ...omit(data, UPLOADED),
      ...(record === undefined ? {} : { report: { rejected: { count: record.report.rejected.count } } }),
    }),
    least: (data) => pick(data, SHORT),
  };
}

function unknownRecord({ id, account, model, total, createdAt }: BatchState): BatchRecord {
  return {
    ...{ format: 1, id, account, created_at: createdAt, model, rows: total, upload: '', parts: [], rejected_parts: [] },
    ...{ source: { format: 'csv', bytes: 0, sha256: '' }, options: { on_invalid: 'skip' }, columns: [], text: {} },
    ...{ base: {}, report: { rejected: { count: 0, errors: [] }, warnings: [] }, classes: [] },
  };
}
