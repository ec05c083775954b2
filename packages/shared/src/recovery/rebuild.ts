import type { BatchDecision, BatchRecord } from '../batch/batch.ts';
import type { BatchFiles } from '../batch/batch-files.ts';
import { accountsPrefix, openPrefix, parseAccountBatchKey, recordKey, uploadsPrefix } from '../batch/batch-layout.ts';
import type { BatchStates } from '../batch/batch-states.ts';
import { restoreBooks } from '../credits/book-notes.ts';
import { createCreditDecisions } from '../credits/credit-decisions.ts';
import { createLedger } from '../credits/ledger.ts';
import { uncertainKey } from '../credits/uncertain-note.ts';
import { createKeyRecords } from '../key/key-records.ts';
import { createKeyRing } from '../key/key-ring.ts';
import type { Logger } from '../logger.ts';
import type { Redis } from '../redis/connect.ts';
import type { Store } from '../store/store.ts';
import { StoreError } from '../store/store-error.ts';
import { receiverOf } from '../webhook/delivery.ts';
import { createEndpointDecisions } from '../webhook/endpoint-decisions.ts';
import { restoreOwed } from '../webhook/owed-note.ts';
import { restoreEndpoints } from '../webhook/reapply-endpoints.ts';
import { createWebhookStore } from '../webhook/webhook-store.ts';
import { inParallel } from './in-parallel.ts';
import { type LoadedProgress, loadProgress } from './load-progress.ts';
import type { RebuildLock } from './rebuild-lock.ts';
import type { UncertainRows } from './row-tally.ts';
import { readUncertainNotes, restoreUncertain, uncertainRowsOf } from './uncertain-calls.ts';

/** Batches read at once, and listed at once. */
const BATCHES_AT_ONCE = 2;
const LISTED_AT_ONCE = 64;

export interface RebuildDependencies {
  readonly redis: Redis;
  readonly prefix: string;
  readonly files: BatchFiles;
  readonly store: Store;
  readonly logger: Logger;
  /** Batches in the Redis that is being rebuilt: their scripts go by the lock. */
  readonly states: BatchStates;
}

/** What a rebuild did. */
export interface RebuildSummary {
  /** Batches that go on, those that are damaged and were left out, and those that are only listed. */
  batches: number;
  left_out: number;
  listed: number;
  rows_ended: number;
  rows_due_again: number;
  images_found: number;
  uncertain_calls: number;
}

/**
 * Reads everything that Redis is to know from the store. A batch that is damaged stops no other: it is left out, and
 * told. Harmless to repeat.
 * @throws {StoreError} when the store cannot be read. @throws {GenerationLostError} when the lock is lost.
 */
export async function rebuild(
  deps: RebuildDependencies,
  lock: RebuildLock,
  signal: AbortSignal,
): Promise<RebuildSummary> {
  const { store, logger } = deps;
  const summary: RebuildSummary = {
    batches: 0,
    left_out: 0,
    listed: 0,
    rows_ended: 0,
    rows_due_again: 0,
    images_found: 0,
    uncertain_calls: 0,
  };
  const notes = await readUncertainNotes(
    store,
    (key, error) => logger.error({ err: error, key }, 'a note of an uncertain call cannot be read and is left out'),
    signal,
  );
  const uncertainRows = uncertainRowsOf(notes);
  const generation = { current: lock.token };
  // Before everything else: where none is known, requests are served without one.
  await createKeyRing({ ...deps, generation }).put(await createKeyRecords(deps).list());
  const webhooks = createWebhookStore({ ...deps, generation });
  // Before the batches, so that nothing is told to nobody.
  const listening: { receiver: string; account: string; from?: number }[] = [];
  for (const { account, endpoints } of await restoreEndpoints({ decisions: createEndpointDecisions(deps), webhooks }))
    for (const { id, state, created_at: from } of endpoints)
      if (state === 'enabled') listening.push({ receiver: id, account, from });
  const foundCalls = new Set<string>();
  const open: string[] = [];
  for await (const { key } of store.list(openPrefix)) open.push(key.slice(openPrefix.length));
  await inParallel(open, BATCHES_AT_ONCE, async (id) => {
    signal.throwIfAborted();
    const read = await readBatch(deps, id, lock, uncertainRows.get(id), signal).catch((error: unknown) => {
      signal.throwIfAborted();
      if (!isDamage(error)) throw error;
      logger.error({ err: error, batch: id }, 'a batch is damaged in the store and was left out');
      return 'damaged' as const;
    });
    if (read === 'damaged') summary.left_out++;
    else if (read !== undefined) {
      for (const call of read.progress.foundCalls) foundCalls.add(call);
      const { account } = read.record;
      const { webhook } = read.decision;
      if (webhook !== undefined) listening.push({ receiver: receiverOf(account, { url: webhook }), account });
      await openBatch(deps, read, summary);
    }
  });
  await listBatches(deps, summary, signal);
  const ledger = createLedger({ ...deps, generation });
  await restoreBooks({ ledger, store }, lock.takenAt, (key, error) =>
    logger.error(
      { err: error, key },
      'noted books cannot be read and are left out; budgets may allow more than they should',
    ),
  );
  const decision = await createCreditDecisions({ store }).last();
  if (decision !== undefined) await ledger.applyDecision(decision);
  if (decision?.hold !== undefined) logger.warn('an operator holds all work, as before');
  await restoreOwed({ webhooks, store }, listening, (key, error) =>
    logger.error({ err: error, key }, 'what webhooks were owed cannot be read; some events may not be told'),
  );
  // Of a call whose image was found nothing is uncertain any more.
  const known = notes.map(({ call }) => call).filter((call) => foundCalls.has(call));
  if (known.length > 0) await store.delete(known.map(uncertainKey));
  const uncertain = notes.filter(({ call }) => !foundCalls.has(call));
  summary.uncertain_calls = await restoreUncertain({ ...deps, generation: lock.token }, uncertain);
  return summary;
}

/** Whether this is about what one batch's objects hold, not about the store or Redis. */
function isDamage(error: unknown): boolean {
  return !(error instanceof StoreError) || error.kind === 'invalid';
}

interface ReadBatch {
  readonly record: BatchRecord;
  readonly decision: BatchDecision;
  readonly progress: LoadedProgress;
}

/** @returns undefined for an upload that has not become a batch. */
async function readBatch(
  { files, store }: RebuildDependencies,
  id: string,
  lock: RebuildLock,
  uncertain: UncertainRows | undefined,
  signal: AbortSignal,
): Promise<ReadBatch | undefined> {
  const record = await files.readRecord(id);
  if (record === undefined) return undefined;
  if (record.format !== 1 || record.id !== id || !Array.isArray(record.parts)) throw new Error('batch.json is none.');
  const decision = await files.readDecision(id);
  if (decision === undefined) throw new Error('No decision about the batch is there.');
  const progress = await loadProgress({ files, store }, record, decision, {
    foundAt: lock.takenAt,
    uncertain,
    signal,
  });
  return { record, decision, progress };
}

async function openBatch(
  { redis, prefix, states, logger }: RebuildDependencies,
  { record, decision, progress }: ReadBatch,
  summary: RebuildSummary,
): Promise<void> {
  // So that whoever takes over an unfinished rebuild reads the batch anew.
  await redis.sadd(`${prefix}rebuild:opened`, record.id);
  // Where only the mark was lost, Redis knows the batch better than the store does, but for a decision.
  if (!(await states.open(record, decision, progress, { onlyUnknown: true }))) await states.decide(record.id, decision);
  const ended = progress.counts.succeeded + progress.counts.failed;
  summary.batches++;
  summary.rows_ended += ended;
  summary.rows_due_again += progress.cursor - ended;
  summary.images_found += progress.found;
  logger.info(
    {
      batch: record.id,
      rows: record.rows,
      rows_ended: ended,
      rows_due_again: progress.cursor - ended,
      images_found: progress.found,
      uncertain: progress.uncertain,
      status: decision.status,
    },
    'a batch was read back from the store',
  );
}

/** Has every account's batches listed, also those that have ended. */
async function listBatches(
  { store, states }: RebuildDependencies,
  summary: RebuildSummary,
  signal: AbortSignal,
): Promise<void> {
  const uploading = new Set<string>();
  for await (const { key } of store.list(uploadsPrefix)) uploading.add(key.slice(uploadsPrefix.length));
  await inParallel(store.list(accountsPrefix), LISTED_AT_ONCE, async ({ key }) => {
    signal.throwIfAborted();
    const found = parseAccountBatchKey(key);
    if (found === undefined) return;
    if (uploading.has(found.batch) && (await store.head(recordKey(found.batch))) === undefined) return;
    await states.addToList(found.account, found.batch);
    summary.listed++;
  });
}
