import type { BatchRecord } from '@renderyard/shared/batch/batch';
import { isBatchFinal } from '@renderyard/shared/batch/batch';
import { type BatchFiles, JSON_TYPE } from '@renderyard/shared/batch/batch-files';
import { manifestKey, openKey, openPrefix } from '@renderyard/shared/batch/batch-layout';
import type { BatchStates } from '@renderyard/shared/batch/batch-states';
import type { BatchManifest } from '@renderyard/shared/batch/manifest';
import type { Clock } from '@renderyard/shared/clock';
import type { Logger } from '@renderyard/shared/logger';
import { loadProgress } from '@renderyard/shared/recovery/load-progress';
import { GenerationLostError } from '@renderyard/shared/redis/script';
import type { Store } from '@renderyard/shared/store/store';
import { StoreError } from '@renderyard/shared/store/store-error';
import { deleteMarker } from './end-batch.ts';

export interface MendDependencies {
  readonly states: BatchStates;
  readonly files: BatchFiles;
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How long the last look at a batch may be ago when its marker is deleted, in milliseconds. */
const MARKER_MS = 10_000;

/**
 * Looks whether every batch that has a marker is known to Redis, and has those that are not opened: their upload was cut
 * off after they had been made, or they were damaged when Redis was rebuilt. Deletes markers that stayed when a batch
 * ended.
 * @param olderThan leaves younger markers alone: who wrote them is still at it
 */
export async function mendOpen(deps: MendDependencies, olderThan: Date): Promise<void> {
  const { states, files, store } = deps;
  for await (const { key, modifiedAt } of store.list(openPrefix)) {
    if (modifiedAt >= olderThan) continue;
    const id = key.slice(openPrefix.length);
    const inTime = AbortSignal.timeout(MARKER_MS);
    const state = await states.get(id);
    if (state !== undefined && isBatchFinal(state.status)) await deleteMarker(deps, id, inTime);
    if (state !== undefined) continue;
    await leaveOutDamaged(deps, id, async () => {
      const record = await files.readRecord(id);
      if (record !== undefined) await ensureOpen(deps, record);
    });
  }
}

/** Has a batch that was made run on, unless it is known or has ended. Harmless when repeated. */
export async function ensureOpen(deps: MendDependencies, record: BatchRecord): Promise<void> {
  const { states, files, store, clock, logger } = deps;
  const { id } = record;
  if ((await states.get(id)) !== undefined) return;
  const [decision, manifest] = await Promise.all([
    files.readDecision(id),
    files.readJson<BatchManifest>(manifestKey(id)),
  ]);
  if (decision === undefined) throw new Error(`The store has lost the decisions about ${id}.`);
  if (manifest !== undefined && manifest.runs >= decision.runs) {
    await states.addToList(record.account, id);
    await deleteMarker(deps, id, AbortSignal.timeout(MARKER_MS));
    return;
  }
  await store.put(openKey(id), Buffer.alloc(0), { contentType: JSON_TYPE });
  const progress = await loadProgress({ files, store }, record, decision, { foundAt: clock.now() });
  // Only if it is unknown still: whoever was quicker has brought it further by now, or to its end.
  if (await states.open(record, decision, progress, { onlyUnknown: true }))
    logger.warn({ batch: id }, 'a batch that was not known was read from the store and goes on');
}

/** Does something about one batch. What is damaged there is told, and stops no other. */
export async function leaveOutDamaged(
  { logger }: Pick<MendDependencies, 'logger'>,
  batch: string,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof GenerationLostError || (error instanceof StoreError && error.kind !== 'invalid')) throw error;
    logger.error({ err: error, batch }, 'a batch is damaged in the store and is left out');
  }
}
