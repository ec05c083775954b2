import { randomBytes } from 'node:crypto';
import type { BatchDecision, BatchRecord } from '@renderyard/shared/batch/batch';
import type { BatchFiles } from '@renderyard/shared/batch/batch-files';
import { recordKey } from '@renderyard/shared/batch/batch-layout';
import type { BatchStates } from '@renderyard/shared/batch/batch-states';
import type { ReadUpload } from '@renderyard/shared/batch/batch-viewer';
import type { FoundBatch } from '@renderyard/shared/batch/found-batch';
import { readStoredBatch, unopened } from '@renderyard/shared/batch/stored-batch';
import type { Clock } from '@renderyard/shared/clock';
import { describeError } from '@renderyard/shared/describe-error';
import type { Logger } from '@renderyard/shared/logger';
import { type Origin, originFields } from '@renderyard/shared/origin';
import type { Store } from '@renderyard/shared/store/store';
import { ProblemError } from '../errors/problem-error.ts';
import { toProblem } from '../errors/to-problem.ts';
import type { Feeder } from '../jobs/feeder.ts';
import type { BatchRequest } from './batch-options.ts';
import { commitBatch, deleteOtherParts, deleteParts, openBatch } from './commit-batch.ts';
import type { ImportResult } from './intake/import-job.ts';
import { contentFingerprint } from './upload-content.ts';
import { markUpload, type UploadMarker } from './upload-marker.ts';

export interface SubmitBatchDeps {
  readonly store: Store;
  readonly files: BatchFiles;
  readonly states: BatchStates;
  readonly feedQueue: Feeder;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What an upload was found to hold, and what is asked for with it. */
export interface Imported {
  readonly request: BatchRequest;
  readonly result: ImportResult;
}

export interface BatchSubmission {
  /** Of the batch, drawn before, so that submitting again makes no second one. */
  readonly id: string;
  readonly account: string;
  /** The request itself, for the log. */
  readonly origin?: Origin | undefined;
  /** Whether an earlier run of the request broke off, so that the batch may exist already. */
  readonly continued: boolean;
  /**
   * Reads the upload; once. With an `upload`, part of the names of its parts, these are written, unless a dry run was
   * asked for.
   * @param signal of ours, on which it breaks off.
   */
  readonly read: (upload: string | undefined, signal?: AbortSignal) => Promise<Imported>;
  /** Told what the upload says before anything is made of it; throws where that must not be. */
  readonly tell: (content: string) => Promise<void>;
}

export type Submitted =
  | { readonly kind: 'dry_run'; readonly upload: ReadUpload }
  /** As it was made; it may have gone on since. */
  | { readonly kind: 'batch'; readonly batch: FoundBatch };

/**
 * Makes a batch of an upload. A batch is there with its record, not before; whatever fails later leaves it there.
 * @throws {ProblemError} `rows_rejected`, `no_rows`, and of what `read` and `tell` throw.
 */
export async function submitBatch(deps: SubmitBatchDeps, submission: BatchSubmission): Promise<Submitted> {
  const { files } = deps;
  const { id, account } = submission;
  const made = submission.continued ? await files.readJson<BatchRecord>(recordKey(id)) : undefined;
  if (made !== undefined) return { kind: 'batch', batch: await takeUp(deps, made, submission) };

  const upload = randomBytes(6).toString('hex');
  const marker = await markUpload(deps, { batch: id, account, upload });
  let imported: Imported;
  try {
    imported = await submission.read(upload, marker.signal);
  } catch (error) {
    await marker.remove();
    throw error;
  }
  try {
    await submission.tell(contentFingerprint(imported.request, imported.result.source));
    if (!imported.request.dryRun) refuseRows(imported);
  } catch (error) {
    await discard(deps, submission, upload, imported, marker);
    throw error;
  }
  if (imported.request.dryRun) {
    await marker.remove();
    return { kind: 'dry_run', upload: summary(imported) };
  }
  return { kind: 'batch', batch: await make(deps, submission, upload, imported, marker) };
}

/** Answers for a batch that an earlier run of the request has made, if this is the same upload. */
async function takeUp(deps: SubmitBatchDeps, record: BatchRecord, submission: BatchSubmission): Promise<FoundBatch> {
  const { request, result } = await submission.read(undefined);
  await submission.tell(contentFingerprint(request, result.source));
  return same(deps, record, result);
}

/** @throws {ProblemError} `idempotency_key_reused` where the batch was made of another file. */
async function same(deps: SubmitBatchDeps, record: BatchRecord | undefined, result: ImportResult): Promise<FoundBatch> {
  if (record?.source.sha256 !== result.source.sha256) throw new ProblemError('idempotency_key_reused');
  await start(deps, record);
  const found = await readStoredBatch(deps.files, record.id);
  if (found === undefined) throw new ProblemError('not_found', 'The batch was deleted just now.');
  return found;
}

async function make(
  deps: SubmitBatchDeps,
  { id, account, origin, continued }: BatchSubmission,
  upload: string,
  { request, result }: Imported,
  marker: UploadMarker,
): Promise<FoundBatch> {
  const { model, ...options } = request.read;
  const now = deps.clock.now();
  const { source, columns, text, base, rows, parts, rejected_parts, report, classes } = result;
  const record: BatchRecord = {
    ...{ format: 1, id, account, created_at: now, model, source, options },
    ...{ columns, text, base, rows, upload, parts, rejected_parts, report, classes },
    ...originFields(origin),
  };
  const decision: BatchDecision = {
    ...{ seq: 1, at: now, status: 'running', runs: 0 },
    ...{ name: request.name, budget: request.budget, metadata: request.metadata },
    ...(request.webhook === undefined ? {} : { webhook: request.webhook }),
    ...(request.webhookEvents === undefined ? {} : { webhook_events: request.webhookEvents }),
  };
  let outcome: Awaited<ReturnType<typeof commitBatch>>;
  try {
    marker.signal.throwIfAborted();
    outcome = await commitBatch(deps, record, decision);
  } catch (error) {
    // Whether the record was written is not known. The sweep finds out by the marker, and so does the repeated request.
    marker.leave();
    throw error;
  }
  if (outcome === 'exists') {
    const other = await deps.files.readJson<BatchRecord>(recordKey(id));
    await deleteParts(deps.store, { batch: id, upload, parts: parts.length, rejectedParts: rejected_parts.length });
    await marker.remove();
    return same(deps, other, result);
  }
  try {
    await start(deps, record);
  } catch (error) {
    marker.leave();
    throw error;
  }
  if (continued)
    await deleteOtherParts(deps.store, record).catch((error: unknown) => {
      deps.logger.warn({ err: describeError(error), batch_id: id }, 'parts of a broken upload could not be deleted');
    });
  await marker.remove();
  return { record, state: unopened(record, decision) };
}

/** @throws {ProblemError} that says that the batch exists, whatever it is that fails. */
async function start(deps: SubmitBatchDeps, record: BatchRecord): Promise<void> {
  try {
    await openBatch(deps, record);
  } catch (error) {
    const { code, options } = toProblem(error);
    throw new ProblemError(
      code,
      `The batch ${record.id} was accepted and lies in the store, but cannot be started now. It is started as soon as that can be done; do not send it again without the same Idempotency-Key.`,
      { ...options, members: { batch_id: record.id } },
    );
  }
  await deps.feedQueue();
}

function refuseRows({ request, result }: Imported): void {
  const { report, rows } = result;
  const code =
    rows === 0
      ? 'no_rows'
      : request.read.on_invalid === 'reject' && report.rejected.count > 0
        ? 'rows_rejected'
        : undefined;
  if (code === undefined) return;
  const { count, errors } = report.rejected;
  const what = `${count} of ${rows + count} rows ${count === 1 ? 'is' : 'are'} not valid`;
  const detail =
    code === 'no_rows'
      ? `No row can be rendered: ${count === 0 ? 'there is none' : what}. Nothing was made.`
      : `${what}, and on_invalid is reject. Nothing was made.`;
  throw new ProblemError(code, detail, { members: { errors, report } });
}

function summary({ request, result }: Imported): ReadUpload {
  const { model, ...options } = request.read;
  const { count } = result.report.rejected;
  return {
    ...result,
    ...{ model, options, name: request.name, budget: request.budget, metadata: request.metadata },
    ...{ webhook: request.webhook, webhookEvents: request.webhookEvents },
    accepted: result.rows > 0 && (options.on_invalid === 'skip' || count === 0),
  };
}

async function discard(
  { store, logger }: SubmitBatchDeps,
  { id }: BatchSubmission,
  upload: string,
  { result }: Imported,
  marker: UploadMarker,
): Promise<void> {
  try {
    await deleteParts(store, {
      ...{ batch: id, upload },
      ...{ parts: result.parts.length, rejectedParts: result.rejected_parts.length },
    });
    await marker.remove();
  } catch (error) {
    marker.leave();
    logger.warn({ err: describeError(error), batch_id: id }, 'parts of a refused upload could not be deleted');
  }
}
