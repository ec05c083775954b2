import { createHash } from 'node:crypto';
import { parseResultsKey, resultsKey, resultsPrefix } from '@renderyard/shared/batch/batch-layout';
import { parseLines } from '@renderyard/shared/batch/lines';
import type { BatchManifest } from '@renderyard/shared/batch/manifest';
import type { RowResult } from '@renderyard/shared/batch/row-result';
import type { Store } from '@renderyard/shared/store/store';

/** A results part, and what the manifest tells of it. */
export interface ResultsObject {
  readonly about: BatchManifest['results'][number];
  readonly results: readonly RowResult[];
}

/** The newest version of every results part, in order, and the keys of those that a newer one has replaced. */
export async function listResults(
  store: Store,
  batch: string,
): Promise<{
  readonly newest: readonly { readonly part: number; readonly version: number }[];
  readonly replaced: readonly string[];
}> {
  const newest = new Map<number, number>();
  const replaced: string[] = [];
  for await (const { key } of store.list(resultsPrefix(batch))) {
    const found = parseResultsKey(key);
    if (found === undefined) continue;
    const other = newest.get(found.part);
    if (other !== undefined) replaced.push(resultsKey(batch, found.part, Math.min(other, found.version)));
    newest.set(found.part, Math.max(other ?? 0, found.version));
  }
  const parts = [...newest].map(([part, version]) => ({ part, version })).sort((a, b) => a.part - b.part);
  return { newest: parts, replaced };
}

/** @throws {Error} when it is not there: somebody else has replaced it. */
export async function readResultsObject(
  store: Store,
  batch: string,
  { part, version }: { readonly part: number; readonly version: number },
): Promise<ResultsObject> {
  const key = resultsKey(batch, part, version);
  const object = await store.get(key);
  if (object === undefined) throw new Error(`The store lists ${key}, and does not have it.`);
  const body = Buffer.concat((await object.body.toArray()) as Buffer[]);
  const results = parseLines<RowResult>(body.toString('utf8'));
  const sha256 = createHash('sha256').update(body).digest('hex');
  return { about: { key, part, version, rows: results.length, bytes: body.length, sha256 }, results };
}
