import { createHash } from 'node:crypto';
import type { BatchDecision, BatchRecord } from '@renderyard/shared/batch/batch';
import { NDJSON } from '@renderyard/shared/batch/batch-files';
import {
  accountBatchKey,
  decisionKey,
  openKey,
  recordKey,
  rowImageKey,
  rowsKey,
} from '@renderyard/shared/batch/batch-layout';
import { toLines } from '@renderyard/shared/batch/lines';
import { type RowRecord, rowJobId } from '@renderyard/shared/batch/row';
import type { RowResult } from '@renderyard/shared/batch/row-result';
import { newId } from '@renderyard/shared/ids';
import type { Store } from '@renderyard/shared/store/store';

const JSON_TYPE = 'application/json';
const json = (value: unknown) => Buffer.from(`${JSON.stringify(value)}\n`);
export const sha256 = (body: Uint8Array) => createHash('sha256').update(body).digest('hex');

/** Nanocredits that an image costs here. */
export const IMAGE_COST = 20_000_000;

/** A decision that lets a batch run; what is given differs. */
export function decisionOf(over: Partial<BatchDecision> = {}): BatchDecision {
  return { seq: 1, at: 1000, status: 'running', runs: 0, name: null, budget: null, metadata: {}, ...over };
}

/** Writes a batch into a store as the API does when it commits an upload, in parts of `perPart` rows. */
export async function storeBatch(
  store: Store,
  {
    rows = 5,
    perPart = 1000,
    account = 'acme',
    decisions = [decisionOf()],
    record: over = {},
  }: {
    readonly rows?: number;
    readonly perPart?: number;
    readonly account?: string;
    readonly decisions?: readonly BatchDecision[];
    readonly record?: Partial<BatchRecord>;
  } = {},
): Promise<{ readonly record: BatchRecord; readonly decision: BatchDecision; readonly rows: readonly RowRecord[] }> {
  const id = newId('bat');
  const upload = 'upload1';
  const all: RowRecord[] = Array.from({ length: rows }, (_, i) => ({
    row: i + 1,
    line: i + 2,
    key: String(i + 1).padStart(6, '0'),
    seed: i,
    values: [`picture ${i + 1}`],
  }));
  const parts: BatchRecord['parts'][number][] = [];
  for (let from = 0; from < rows; from += perPart) {
    const body = toLines(all.slice(from, from + perPart));
    await store.put(rowsKey(id, upload, parts.length), body, { contentType: NDJSON });
    parts.push({ rows: Math.min(perPart, rows - from), bytes: body.length, sha256: sha256(body) });
  }
  const record: BatchRecord = {
    format: 1,
    id,
    account,
    created_at: 900,
    model: 'stable-diffusion-3.5-large-txt2img',
    source: { format: 'csv', bytes: 1, sha256: 'ab'.repeat(32) },
    options: { on_invalid: 'skip' },
    columns: ['prompt'],
    text: { prompt: 0 },
    base: { width: 64, height: 64 },
    rows,
    upload,
    parts,
    rejected_parts: [],
    report: { rejected: { count: 0, errors: [] }, warnings: [] },
    classes: [],
    ...over,
  };
  await store.put(accountBatchKey(account, id), Buffer.alloc(0), { contentType: JSON_TYPE });
  await store.put(openKey(id), Buffer.alloc(0), { contentType: JSON_TYPE });
  for (const decision of decisions)
    await store.put(decisionKey(id, decision.seq), json(decision), { contentType: JSON_TYPE });
  await store.put(recordKey(id), json(record), { contentType: JSON_TYPE });
  return { record, decision: decisions.at(-1) ?? decisionOf(), rows: all };
}

/** Puts the image of a row into the store, as a worker does. */
export async function storeRowImage(
  store: Store,
  batch: string,
  row: Pick<RowRecord, 'row' | 'key' | 'seed'>,
  over: { readonly job?: string; readonly call?: string; readonly extension?: string; readonly cost?: string } = {},
): Promise<{ readonly key: string; readonly sha256: string }> {
  const body = Buffer.from(`image of row ${row.row}`);
  const key = `${rowImageKey(batch, row.key)}.${over.extension ?? 'png'}`;
  await store.put(key, body, {
    contentType: 'image/png',
    metadata: {
      job: over.job ?? rowJobId(batch, row.row),
      call: over.call ?? newId('call'),
      seed: String(row.seed),
      sha256: sha256(body),
      width: '64',
      height: '64',
      cost: over.cost ?? '0.02',
    },
  });
  return { key, sha256: sha256(body) };
}

/** The result of a row that succeeded; what is given differs. */
export function resultOf(
  batch: string,
  row: Pick<RowRecord, 'row' | 'key' | 'seed'>,
  over: Partial<RowResult> = {},
): RowResult {
  const body = Buffer.from(`image of row ${row.row}`);
  const image = {
    key: `${rowImageKey(batch, row.key)}.png`,
    content_type: 'image/png',
    bytes: body.length,
    width: 64,
    height: 64,
    sha256: sha256(body),
    seed: row.seed,
  };
  return {
    row: row.row,
    run: 0,
    status: 'succeeded',
    output: [image],
    attempts: 1,
    uncertain: 0,
    cost: IMAGE_COST,
    started_at: 2000,
    ended_at: 3000 + row.row,
    ...over,
  };
}

/** The result of a row that failed; what is given differs. */
export function failureOf(row: number, over: Partial<RowResult> = {}): RowResult {
  return {
    row,
    run: 0,
    status: 'failed',
    error: { code: 'upstream_rejected', detail: 'The upstream refuses it.' },
    attempts: 2,
    uncertain: 0,
    cost: 0,
    started_at: 2000,
    ended_at: 3000 + row,
    ...over,
  };
}
