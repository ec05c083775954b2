import { createHash } from 'node:crypto';
import type { BatchDecision, BatchRecord, RowProblem, RowsPart } from '@renderyard/shared/batch/batch';
import { createBatchFiles, NDJSON } from '@renderyard/shared/batch/batch-files';
import {
  decisionKey,
  manifestKey,
  recordKey,
  rejectedKey,
  rowImageKey,
  rowsKey,
} from '@renderyard/shared/batch/batch-layout';
import { type BatchStates, createBatchStates } from '@renderyard/shared/batch/batch-states';
import { toLines } from '@renderyard/shared/batch/lines';
import { type RowRecord, rowJobId } from '@renderyard/shared/batch/row';
import type { RowResult } from '@renderyard/shared/batch/row-result';
import { newId } from '@renderyard/shared/ids';
import type { Image, JobError } from '@renderyard/shared/job/job';
import { createGeneration } from '@renderyard/shared/redis/generation';
import { openStore } from '@renderyard/shared/store/open-store';
import type { Store } from '@renderyard/shared/store/store';
import { type Api, openApi } from '../api/running-api.ts';

export type BatchBench = Awaited<ReturnType<typeof openBatchBench>>;
type Files = ReturnType<typeof createBatchFiles>;

/** What a test says of a row; the rest is made up. */
interface GivenRow extends Partial<Omit<RowRecord, 'row' | 'values'>> {
  readonly values: readonly unknown[];
}

export interface GivenBatch {
  readonly columns: readonly string[];
  readonly rows: readonly GivenRow[];
  readonly rejected?: readonly { line: number; values: readonly unknown[]; problems: readonly RowProblem[] }[];
  /** Rows in a part. */
  readonly partRows?: number;
  readonly record?: Partial<BatchRecord>;
  readonly decision?: Partial<BatchDecision>;
}

/** How a row ended, as a test says it. */
export type GivenEnd = { readonly image: string } | { readonly error: JobError };

/** A running API, and batches in its store and its Redis as the importer and the workers leave them. */
export async function openBatchBench(options: Parameters<typeof openApi>[0] = {}) {
  const api = await openApi(options);
  const store = openStore({ ...api.config, publicUrl: api.url, signingKey: new Uint8Array(32) });
  const generation = createGeneration(api.redis, api.prefix);
  await generation.join();
  const files = createBatchFiles({ store });
  const states = createBatchStates({ redis: api.redis, prefix: api.prefix, generation });
  return {
    api,
    store,
    files,
    states,
    /** Writes a batch into the store; Redis does not know it yet. */
    put: (given: GivenBatch) => putBatch(store, given),
    /** Makes it run. */
    open: (batch: PutBatch) => states.open(batch.record, batch.decision),
    endNext: (batch: PutBatch, end: GivenEnd) => endNext({ api, store }, batch, end),
    /** Writes results that wait in Redis into the store, as a worker does, without ending the batch. */
    flush: (batch: PutBatch, keep?: 'older') => flush({ api, files, states }, batch, keep),
    get: (path: string, headers: Record<string, string> = {}) => fetch(new URL(path, api.url), { headers }),
    [Symbol.asyncDispose]: async () => {
      await store.close();
      await api[Symbol.asyncDispose]();
    },
  };
}

export type PutBatch = Awaited<ReturnType<typeof putBatch>>;

async function putBatch(store: Store, given: GivenBatch) {
  const id = newId('bat');
  const upload = 'test';
  const rows = given.rows.map(
    (row, index): RowRecord => ({
      line: index + 2,
      key: row.id ?? String(index + 1).padStart(6, '0'),
      seed: index,
      ...row,
      row: index + 1,
    }),
  );
  const partRows = given.partRows ?? 1000;
  const parts = await putParts(store, chunksOf(rows, partRows), (part) => rowsKey(id, upload, part));
  const rejectedParts = await putParts(store, chunksOf(given.rejected ?? [], partRows), (part) =>
    rejectedKey(id, upload, part),
  );
  const record: BatchRecord = {
    format: 1,
    id,
    account: 'default',
    created_at: 1_700_000_000_000,
    model: 'stable-diffusion-3.5-large-txt2img',
    source: { format: 'csv', delimiter: ',', bytes: 1, sha256: '00' },
    options: { on_invalid: 'skip' },
    columns: given.columns,
    text: { prompt: given.columns.indexOf('prompt') },
    base: { steps: 30 },
    rows: rows.length,
    upload,
    parts,
    rejected_parts: rejectedParts,
    report: { rejected: { count: given.rejected?.length ?? 0, errors: [] }, warnings: [] },
    classes: [],
    ...given.record,
  };
  const decision: BatchDecision = {
    seq: 1,
    at: record.created_at,
    status: 'running',
    runs: 0,
    name: null,
    budget: null,
    metadata: {},
    ...given.decision,
  };
  await putJson(store, decisionKey(id, decision.seq), decision);
  await putJson(store, recordKey(id), record);
  return { id, record, decision, path: `/v1/batches/${id}` };
}

/** Ends a batch that Redis has forgotten: its results and a manifest of version 7. */
export async function putEnd(
  { store, files }: Pick<BatchBench, 'store' | 'files'>,
  { id, record, decision }: PutBatch,
  results: readonly RowResult[],
  status: 'completed' | 'canceled' = 'completed',
): Promise<void> {
  const version = 1_700_000_000_007;
  const written: { part: number; version: number }[] = [];
  let first = 1;
  for (const [part, { rows }] of record.parts.entries()) {
    const own = results.filter(({ row }) => row >= first && row < first + rows);
    if (own.length > 0) {
      await files.writeResults(id, part, version, own);
      written.push({ part, version });
    }
    first += rows;
  }
  const count = (each: string) => results.filter((result) => result.status === each).length;
  const [succeeded, failed] = [count('succeeded'), count('failed')];
  await putJson(store, manifestKey(id), {
    format: 1,
    batch: id,
    status,
    counts: { total: record.rows, rejected: 0, succeeded, failed, canceled: record.rows - succeeded - failed },
    cost: 0,
    uncertain: 0,
    runs: decision.runs,
    name: decision.name,
    started_at: 1_700_000_000_000,
    ended_at: 1_700_000_009_000,
    results: written,
  });
}

/** An image in the store, as a worker leaves it there. */
export async function putImage(
  store: Store,
  batch: string,
  key: string,
  bytes: Buffer,
  extension = 'png',
): Promise<Image> {
  const image = {
    key: `${rowImageKey(batch, key)}.${extension}`,
    content_type: 'image/png',
    width: 64,
    height: 64,
    seed: 7,
  };
  await store.put(image.key, bytes, { contentType: image.content_type });
  return { ...image, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

export function succeeded(row: number, image: Image, more: Partial<RowResult> = {}): RowResult {
  const times = { started_at: 1_700_000_001_000, ended_at: 1_700_000_002_000 + row * 2000 };
  return {
    row,
    run: 0,
    status: 'succeeded',
    output: [image],
    attempts: 1,
    uncertain: 0,
    cost: 20_000_000,
    ...times,
    ...more,
  };
}

export function failed(row: number, error: JobError, more: Partial<RowResult> = {}): RowResult {
  const times = { started_at: 1_700_000_001_000, ended_at: 1_700_000_002_000 + row * 2000 };
  return { row, run: 0, status: 'failed', error, attempts: 5, uncertain: 1, cost: 12_345_678, ...times, ...more };
}

/** Feeds the next row of the batch that runs, and ends it. @returns its number. */
async function endNext(
  { api, store }: { readonly api: Api; readonly store: Store },
  batch: PutBatch,
  end: GivenEnd,
): Promise<number> {
  const [ticket] = await api.jobs.takeTickets(1);
  const job = ticket?.job ?? '';
  const row = Number(job.slice(job.lastIndexOf('_') + 1));
  if (job !== rowJobId(batch.id, row)) throw new Error(`${job} is no row of ${batch.id}`);
  const part = batch.record.parts.findIndex((_, index) => row <= sum(batch.record.parts.slice(0, index + 1)));
  const ending = { job, row: { part } };
  if ('error' in end) await api.jobs.record({ ...ending, status: 'failed', error: end.error }, 1000);
  else {
    const image = await putImage(store, batch.id, end.image, Buffer.from(`image of row ${row}`));
    await api.jobs.record({ ...ending, status: 'succeeded', output: [image] }, 1000);
  }
  return row;
}

async function flush(
  { api, files, states }: { readonly api: Api; readonly files: Files; readonly states: BatchStates },
  { id }: PutBatch,
  keep?: 'older',
): Promise<void> {
  await api.redis.zadd(`${api.prefix}dirty`, '0', id);
  const taken = await states.takeFlush(10_000);
  if (taken?.batch !== id) throw new Error(`There was nothing to flush of ${id}.`);
  for (const { part, version } of taken.parts) {
    const lines = await states.unwritten(id, part);
    const results = new Map(version === undefined ? [] : await files.readResults(id, part, version));
    for (const result of lines.map((line) => JSON.parse(line) as RowResult)) results.set(result.row, result);
    await files.writeResults(id, part, taken.version, results.values());
    await states.flushed(taken, part, lines);
    if (version !== undefined && keep === undefined) await files.deleteResults(id, part, version);
  }
  await states.endFlush(taken);
}

async function putParts(store: Store, chunks: readonly (readonly unknown[])[], keyOf: (part: number) => string) {
  const parts: RowsPart[] = [];
  for (const chunk of chunks) {
    const bytes = toLines(chunk);
    await store.put(keyOf(parts.length), bytes, { contentType: NDJSON });
    parts.push({ rows: chunk.length, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') });
  }
  return parts;
}

function putJson(store: Store, key: string, value: unknown) {
  return store.put(key, Buffer.from(JSON.stringify(value)), { contentType: 'application/json' });
}

function chunksOf<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}

function sum(parts: readonly RowsPart[]): number {
  return parts.reduce((total, { rows }) => total + rows, 0);
}
