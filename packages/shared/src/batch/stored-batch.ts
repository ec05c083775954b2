import type { Nanocredits } from '../credits/amount.ts';
import type { BatchDecision, BatchRecord } from './batch.ts';
import type { BatchFiles } from './batch-files.ts';
import { manifestKey, recordKey } from './batch-layout.ts';
import type { BatchState } from './batch-state.ts';
import type { FoundBatch } from './found-batch.ts';

/** Of a manifest, what it tells of the batch as a whole. */
interface Ending {
  readonly status: 'completed' | 'canceled';
  readonly counts: { readonly succeeded: number; readonly failed: number; readonly canceled: number };
  readonly cost: Nanocredits;
  readonly uncertain: number;
  readonly runs: number;
  readonly started_at: number | null;
  readonly ended_at: number;
}

/**
 * A batch from the store alone. The record is read anew, for it is also how a batch that was deleted is noticed.
 * @returns undefined where there is no such batch. One that has not ended, and that Redis does not know, is about to be
 * opened: it is shown without progress.
 */
export async function readStoredBatch(files: BatchFiles, id: string): Promise<FoundBatch | undefined> {
  const record = await files.readJson<BatchRecord>(recordKey(id));
  if (record === undefined) return undefined;
  const [decision, manifest] = await Promise.all([files.readDecision(id), files.readJson<Ending>(manifestKey(id))]);
  if (decision === undefined) return undefined;
  // A manifest of an earlier run is not the end: the failed rows were retried since.
  const ending = manifest !== undefined && manifest.runs >= decision.runs ? manifest : undefined;
  return { record, state: ending === undefined ? unopened(record, decision) : ended(record, decision, ending) };
}

function ended(record: BatchRecord, decision: BatchDecision, ending: Ending): BatchState {
  return {
    ...unopened(record, decision),
    status: ending.status,
    hold: undefined,
    succeeded: ending.counts.succeeded,
    failed: ending.counts.failed,
    canceled: ending.counts.canceled,
    cost: ending.cost,
    uncertain: ending.uncertain,
    runs: ending.runs,
    startedAt: ending.started_at ?? undefined,
    endedAt: ending.ended_at,
  };
}

/** A batch of which nothing has run. */
export function unopened(record: BatchRecord, decision: BatchDecision): BatchState {
  return {
    id: record.id,
    account: record.account,
    status: decision.status === 'canceled' ? 'canceling' : decision.status,
    hold: decision.hold,
    model: record.model,
    total: record.rows,
    rejected: record.report.rejected.count,
    processing: 0,
    succeeded: 0,
    failed: 0,
    canceled: 0,
    cost: 0,
    reserved: 0,
    uncertain: 0,
    name: decision.name,
    budget: decision.budget,
    metadata: decision.metadata,
    webhook: decision.webhook,
    webhookEvents: decision.webhook_events,
    runs: decision.runs,
    decision: decision.seq,
    createdAt: record.created_at,
    startedAt: undefined,
    endedAt: undefined,
    latest: [],
  };
}
