import type { Store } from '../store/store.ts';
import type { BatchFiles } from './batch-files.ts';
import { parseResultsKey, resultsPartPrefix } from './batch-layout.ts';
import type { RowResult } from './row-result.ts';

/** A results part as it lies in the store. */
export interface NewestResults {
  /** 0 where there is none. */
  readonly version: number;
  readonly results: ReadonlyMap<number, RowResult>;
  /** Versions that lie there still, though a newer one holds. */
  readonly older: readonly number[];
}

/** A version may be deleted between its listing and its reading, when a newer one has come: then it is listed again. */
const MOST_TRIES = 5;

/**
 * Reads the newest version of a results part, by listing: whatever else is known of versions may be older than that.
 * @throws {Error} when the store lists an object again and again that is not there.
 */
export async function readNewestResults(
  { files, store }: { readonly files: BatchFiles; readonly store: Store },
  batch: string,
  part: number,
): Promise<NewestResults> {
  for (let tries = 1; ; tries++) {
    const versions: number[] = [];
    for await (const { key } of store.list(resultsPartPrefix(batch, part))) {
      const found = parseResultsKey(key);
      if (found !== undefined) versions.push(found.version);
    }
    const version = Math.max(0, ...versions);
    if (version === 0) return { version, results: new Map(), older: [] };
    const results = await files.readResults(batch, part, version);
    const older = versions.filter((each) => each !== version);
    if (results !== undefined) return { version, results, older };
    if (tries === MOST_TRIES)
      throw new Error(`The store lists version ${version} of results part ${part} of ${batch}, and does not have it.`);
  }
}
