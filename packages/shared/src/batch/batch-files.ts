import type { ObjectBody, Store } from '../store/store.ts';
import type { BatchDecision, BatchRecord } from './batch.ts';
import {
  decisionKey,
  decisionsPrefix,
  parseDecisionKey,
  parseResultsKey,
  recordKey,
  resultsKey,
  resultsPrefix,
  rowsKey,
} from './batch-layout.ts';
import { parseLines, toLines } from './lines.ts';
import type { RowRecord } from './row.ts';
import type { RowResult } from './row-result.ts';

/** Records, rows parts and versions of results never change, so those used last are kept: at most so many of each. */
const KEPT_RECORDS = 64;
const KEPT_PARTS = 16;
const KEPT_RESULTS = 4;
/** Decisions read at once for a list. */
const AT_ONCE = 10;
export const NDJSON = 'application/x-ndjson';
export const JSON_TYPE = 'application/json';

/** Thrown when a part with rows of a batch is not in the store: somebody deleted it. */
export class RowsLostError extends Error {
  override readonly name = 'RowsLostError';
}

export type BatchFiles = ReturnType<typeof createBatchFiles>;

/**
 * Batches as they lie in the store. Every method throws `StoreError`, or `SyntaxError` for an object that somebody else
 * has written there.
 */
export function createBatchFiles({ store }: { readonly store: Store }) {
  const records = createKept<BatchRecord>(KEPT_RECORDS);
  const parts = createKept<readonly RowRecord[]>(KEPT_PARTS);
  const results = createKept<ReadonlyMap<number, RowResult>>(KEPT_RESULTS);

  async function readText(key: string): Promise<string | undefined> {
    const object = await store.get(key);
    if (object === undefined) return undefined;
    const chunks: Buffer[] = [];
    for await (const chunk of object.body) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString('utf8');
  }

  async function readJson<T>(key: string): Promise<T | undefined> {
    const text = await readText(key);
    return text === undefined ? undefined : (JSON.parse(text) as T);
  }

  const files = {
    readJson,

    /** Creates an object of JSON. @returns `exists`, with nothing written, where there is one. */
    createJson: (key: string, value: unknown): Promise<'stored' | 'exists'> =>
      store.put(key, Buffer.from(`${JSON.stringify(value)}\n`), { contentType: JSON_TYPE, ifAbsent: true }),

    /** @returns undefined where there is no such batch. */
    async readRecord(batch: string): Promise<BatchRecord | undefined> {
      return records.get(batch, () => readJson<BatchRecord>(recordKey(batch)));
    },

    /** The rows of one part, in order. @throws {RowsLostError} */
    async readRows(record: BatchRecord, part: number): Promise<readonly RowRecord[]> {
      const key = rowsKey(record.id, record.upload, part);
      const rows = await parts.get(key, async () => {
        const text = await readText(key);
        return text === undefined ? undefined : parseLines<RowRecord>(text);
      });
      if (rows === undefined) throw new RowsLostError(`The store has lost ${key}: rows of the batch cannot be read.`);
      return rows;
    },

    /** The newest version of each results part. */
    async resultVersions(batch: string): Promise<Map<number, number>> {
      const versions = new Map<number, number>();
      for await (const { key } of store.list(resultsPrefix(batch))) {
        const found = parseResultsKey(key);
        if (found !== undefined) versions.set(found.part, Math.max(found.version, versions.get(found.part) ?? 0));
      }
      return versions;
    },

    /** @returns undefined where that version is no longer there: a newer one has taken its place. */
    async readResults(
      batch: string,
      part: number,
      version: number,
    ): Promise<ReadonlyMap<number, RowResult> | undefined> {
      const key = resultsKey(batch, part, version);
      return results.get(key, async () => {
        const text = await readText(key);
        if (text === undefined) return undefined;
        return new Map(parseLines<RowResult>(text).map((result) => [result.row, result]));
      });
    },

    /** Writes a version of a results part, its rows in order.  */
    async writeResults(batch: string, part: number, version: number, results: Iterable<RowResult>): Promise<void> {
      const sorted = [...results].sort((a, b) => a.row - b.row);
      await store.put(resultsKey(batch, part, version), toLines(sorted), { contentType: NDJSON });
    },

    async deleteResults(batch: string, part: number, version: number): Promise<void> {
      await store.delete([resultsKey(batch, part, version)]);
    },

    /** The decision that holds; undefined where there is none. */
    async readDecision(batch: string): Promise<BatchDecision | undefined> {
      let last: string | undefined;
      for await (const { key } of store.list(decisionsPrefix(batch))) last = key;
      return last === undefined ? undefined : readJson<BatchDecision>(last);
    },

    /** The decisions with a `seq` below `before`, the newest first. */
    async listDecisions(
      batch: string,
      { before = Number.POSITIVE_INFINITY, limit }: { readonly before?: number | undefined; readonly limit: number },
    ): Promise<readonly BatchDecision[]> {
      const seqs: number[] = [];
      for await (const { key } of store.list(decisionsPrefix(batch))) seqs.push(parseDecisionKey(key) ?? 0);
      const wanted = seqs.filter((seq) => seq > 0 && seq < before).slice(-limit);
      const found: BatchDecision[] = [];
      for (let end = wanted.length; end > 0; end -= AT_ONCE) {
        const some = wanted.slice(Math.max(0, end - AT_ONCE), end).reverse();
        const read = await Promise.all(some.map((seq) => readJson<BatchDecision>(decisionKey(batch, seq))));
        found.push(...read.filter((decision) => decision !== undefined));
      }
      return found;
    },

    /** Writes a decision. @returns false, with nothing written, when another one with this `seq` was quicker. */
    async writeDecision(batch: string, decision: BatchDecision): Promise<boolean> {
      return (await files.createJson(decisionKey(batch, decision.seq), decision)) === 'stored';
    },

    /** Puts any object of a batch. */
    put: (key: string, body: ObjectBody, contentType: string) => store.put(key, body, { contentType }),
  };
  return files;
}

/** Keeps what was read last. What is being read is read once; what was missing or failed is not kept. */
function createKept<T>(most: number) {
  const kept = new Map<string, Promise<T | undefined>>();
  return {
    async get(key: string, read: () => Promise<T | undefined>): Promise<T | undefined> {
      const found = kept.get(key);
      if (found !== undefined) {
        kept.delete(key);
        kept.set(key, found);
        return found;
      }
      const reading = read();
      kept.set(key, reading);
      const oldest = kept.size > most ? kept.keys().next().value : undefined;
      if (oldest !== undefined) kept.delete(oldest);
      const drop = () => void (kept.get(key) === reading && kept.delete(key));
      return reading.then(
        (value) => {
          if (value === undefined) drop();
          return value;
        },
        (error: unknown) => {
          drop();
          throw error;
        },
      );
    },
  };
}
