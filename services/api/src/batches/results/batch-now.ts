import { type BatchStatus, isBatchFinal } from '@renderyard/shared/batch/batch';
import type { BatchFiles } from '@renderyard/shared/batch/batch-files';
import { manifestKey } from '@renderyard/shared/batch/batch-layout';
import type { BatchState } from '@renderyard/shared/batch/batch-state';
import type { BatchNow } from '@renderyard/shared/batch/row-status';
import { readStoredBatch } from '@renderyard/shared/batch/stored-batch';

/** A batch as the store alone has it. */
export interface StoredNow {
  readonly batch: BatchNow;
  /** The newest version of each results part. */
  readonly versions: ReadonlyMap<number, number>;
}

/** Of a manifest, where the results lie. */
interface ManifestResults {
  readonly results: readonly { readonly part: number; readonly version: number }[];
}

/** Of a batch whose results are on their way. */
type LiveState = BatchState & { readonly status: Exclude<BatchStatus, 'completed' | 'canceled'> };

/** Whether Redis knows where the results of a batch lie: from its opening to its end. */
export function isLive(state: BatchState | undefined): state is LiveState {
  return state !== undefined && !isBatchFinal(state.status);
}

/**
 * How far a batch has come, from the store alone, for one that has ended or that Redis does not know.
 * @param listed the manifest is not trusted: a version that it names was not there.
 * @returns undefined where there is no such batch any more.
 */
export async function readStoredNow(files: BatchFiles, id: string, listed: boolean): Promise<StoredNow | undefined> {
  const found = await readStoredBatch(files, id);
  if (found === undefined) return undefined;
  const batch = found.state;
  const manifest =
    isBatchFinal(batch.status) && !listed ? await files.readJson<ManifestResults>(manifestKey(id)) : undefined;
  const versions =
    manifest === undefined
      ? await files.resultVersions(id)
      : new Map(manifest.results.map(({ part, version }) => [part, version]));
  return { batch, versions };
}
