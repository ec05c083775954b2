import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { BatchRecord } from '@renderyard/shared/batch/batch';
import { isBatchFinal } from '@renderyard/shared/batch/batch';
import { type BatchFiles, JSON_TYPE } from '@renderyard/shared/batch/batch-files';
import {
  checksumsKey,
  manifestKey,
  openKey,
  recordKey,
  rejectedKey,
  rowsKey,
} from '@renderyard/shared/batch/batch-layout';
import type { BatchStates } from '@renderyard/shared/batch/batch-states';
import type { BatchManifest } from '@renderyard/shared/batch/manifest';
import { toCredits } from '@renderyard/shared/credits/amount';
import type { Logger } from '@renderyard/shared/logger';
import type { Store } from '@renderyard/shared/store/store';
import { parseTraceparent } from '@renderyard/shared/tracing/spans';
import { createChecksumFile } from './checksums.ts';
import type { FlushLease } from './flush-lease.ts';
import { inOrder } from './in-order.ts';
import { listResults, readResultsObject } from './results-objects.ts';

/** Results parts read ahead: some 500 KB each. */
const AHEAD = 3;

export interface EndBatchDependencies {
  readonly states: BatchStates;
  readonly files: BatchFiles;
  readonly store: Store;
  readonly logger: Logger;
  /** For the checksums while they are gathered. */
  readonly dataFolder: string;
  /** Notes in the store for whom events wait. Left out where nobody is told of any. */
  readonly noteOwed?: () => Promise<void>;
}

/**
 * Ends a batch all of whose results lie in the store: checksums, manifest, the state, the marker. May be broken off
 * between any two steps: the batch is then due again, and every step but the last two writes the same once more.
 *
 * A worker that is frozen in here, and goes on when another has ended the batch, is kept out by the lease: it is renewed
 * right before what is replaced (checksums, manifest) is sent, and the request is given up while the lease still runs.
 * What could yet arrive late is what the other has written too, as results of an ending batch do not change: they
 * would, only if the failed rows were retried, all ended again, and the next manifest was written in that same moment.
 * The marker is deleted last, in the same time after the state became final; a retry that comes in between has its
 * marker put back, and a marker that stays because of a crash is deleted by mend-open.ts.
 * @returns false when it goes on: a decision has come.
 * @throws {LostLeaseError} when another worker has the batch. @throws {StoreError}
 */
export async function endBatch(deps: EndBatchDependencies, lease: FlushLease): Promise<boolean> {
  const { states, files, store, logger } = deps;
  const { flush } = lease;
  const id = flush.batch;
  const [record, decision, known] = await Promise.all([files.readRecord(id), files.readDecision(id), states.get(id)]);
  if (record === undefined || decision === undefined)
    throw new Error(`The store has lost the record of ${id} or the decisions about it.`);
  // A decision that was written, and not put into force by whoever wrote it, may be a retry.
  const state = known !== undefined && known.decision < decision.seq ? await states.decide(id, decision) : known;
  if (state?.status !== 'finishing' && state?.status !== 'canceling') return false;
  const gathered = await gather(deps, lease, record, decision.runs);
  const { counts, replaced, checksums } = gathered;
  if (state.succeeded !== counts.succeeded || state.failed !== counts.failed)
    logger.error(
      { batch: id, counts, redis: { succeeded: state.succeeded, failed: state.failed } },
      'the results of a batch in the store are not those that were counted',
    );

  const canceled = state.status === 'canceling';
  const endedAt = Math.max(gathered.endedAt, canceled ? decision.at : 0, record.created_at);
  const manifest: BatchManifest = {
    format: 1,
    batch: id,
    status: canceled ? 'canceled' : 'completed',
    counts: {
      total: record.rows,
      rejected: record.report.rejected.count,
      ...counts,
      canceled: canceled ? record.rows - counts.succeeded - counts.failed : 0,
    },
    // Redis counts also what calls of rows without a result have cost.
    cost: Math.max(state.cost, gathered.cost),
    uncertain: Math.max(state.uncertain, gathered.uncertain),
    runs: decision.runs,
    name: decision.name,
    metadata: decision.metadata,
    created_at: record.created_at,
    started_at: gathered.startedAt ?? state.startedAt ?? null,
    ended_at: endedAt,
    record: { key: recordKey(id), sha256: await sha256Of(store, recordKey(id)) },
    rows: record.parts.map((part, i) => ({ key: rowsKey(id, record.upload, i), ...part })),
    rejected: record.rejected_parts.map((part, i) => ({ key: rejectedKey(id, record.upload, i), ...part })),
    results: gathered.results,
    checksums,
  };
  const text = Buffer.from(`${JSON.stringify(manifest)}\n`);
  await store.put(manifestKey(id), text, { contentType: JSON_TYPE, signal: await lease.secure() });
  if (replaced.length > 0) await store.delete(replaced, { signal: await lease.secure() });
  const inTime = await lease.secure();
  if (!(await states.complete(flush, endedAt))) return false;
  logger.info(
    {
      ...{
        batch: id,
        account: record.account,
        request_id: record.request,
        model: record.model,
        status: manifest.status,
      },
      ...{ ...manifest.counts, runs: manifest.runs, uncertain: manifest.uncertain, cost: toCredits(manifest.cost) },
      total_ms: endedAt - record.created_at,
      parts: record.parts.length,
      trace_id: parseTraceparent(record.traceparent)?.traceId,
    },
    'batch',
  );
  // Without its marker an emptied Redis does not find the webhook of a batch, unless a note tells of it.
  if (decision.webhook !== undefined) await deps.noteOwed?.();
  await deleteMarker(deps, id, inTime);
  return true;
}

/** Deletes the marker of a batch that has ended, and puts it back where the batch was opened again meanwhile. */
export async function deleteMarker(
  { states, store }: Pick<EndBatchDependencies, 'states' | 'store'>,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  await store.delete([openKey(id)], { signal });
  const state = await states.get(id);
  if (state !== undefined && !isBatchFinal(state.status))
    await store.put(openKey(id), Buffer.alloc(0), { contentType: JSON_TYPE });
}

/** Reads all results once: writes the checksums, and adds up what they tell. */
async function gather(
  { store, dataFolder }: EndBatchDependencies,
  lease: FlushLease,
  record: BatchRecord,
  runs: number,
) {
  const { batch: id, version } = lease.flush;
  const { newest, replaced } = await listResults(store, id);
  const counts = { succeeded: 0, failed: 0 };
  let [cost, uncertain, endedAt] = [0, 0, 0];
  let startedAt: number | undefined;
  const results: BatchManifest['results'][number][] = [];
  await using file = await createChecksumFile(join(dataFolder, `checksums-${id}-${version}`), id);
  const parts = newest.filter(({ part }) => part < record.parts.length);
  for await (const part of inOrder(parts, AHEAD, (each) => readResultsObject(store, id, each))) {
    await lease.keep();
    results.push(part.about);
    for (const result of part.results) {
      // One that failed in an earlier run was to be rendered again, and then the batch was canceled.
      if (result.status === 'succeeded' || result.run >= runs) counts[result.status]++;
      cost += result.cost;
      uncertain += result.uncertain;
      endedAt = Math.max(endedAt, result.ended_at);
      if (result.started_at !== null) startedAt = Math.min(startedAt ?? Infinity, result.started_at);
    }
    await file.add(part.results.flatMap((result) => result.output ?? []));
  }
  const { body, about: checksums } = await file.end();
  await store.put(checksumsKey(id), body, { contentType: 'text/plain; charset=utf-8', signal: await lease.secure() });
  return { counts, cost, uncertain, startedAt, endedAt, results, replaced, checksums };
}

async function sha256Of(store: Store, key: string): Promise<string> {
  const object = await store.get(key);
  if (object === undefined) throw new Error(`The store has lost ${key}.`);
  const hash = createHash('sha256');
  for await (const chunk of object.body) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
