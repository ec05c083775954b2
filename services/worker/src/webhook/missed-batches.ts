import { type BatchRecord, isBatchFinal } from '@renderyard/shared/batch/batch';
import {
  accountBatchesPrefix,
  accountBatchKey,
  manifestKey,
  parseAccountBatchKey,
} from '@renderyard/shared/batch/batch-layout';
import type { BatchState } from '@renderyard/shared/batch/batch-state';
import type { FoundBatch } from '@renderyard/shared/batch/found-batch';
import { readNewestResults } from '@renderyard/shared/batch/newest-results';
import { rowJobId } from '@renderyard/shared/batch/row';
import type { RowEnd, RowResult } from '@renderyard/shared/batch/row-result';
import { laterResult, rowStatus } from '@renderyard/shared/batch/row-status';
import { readStoredBatch } from '@renderyard/shared/batch/stored-batch';
import { originFields } from '@renderyard/shared/origin';
import type { CatchUp } from '@renderyard/shared/webhook/catch-up-store';
import type { OutboxEvent } from '@renderyard/shared/webhook/event';
import { eventId } from '@renderyard/shared/webhook/event-id';
import type { EventType } from '@renderyard/shared/webhook/event-type';
import { addresseeFor, type MissedDependencies, type MissedPage, within } from './missed-page.ts';

/** That a batch has ended is told so long after its manifest was written at most: as long as its writer's lease lasts. */
const MOST_TELLING_MS = 30_000;

/** What a receiver has missed of batches, in the order of their ids, each with its rows. `after`: how far it is. */
export async function* missedBatches(
  deps: MissedDependencies,
  task: CatchUp,
  after: string,
): AsyncGenerator<MissedPage> {
  const [done = '', parts = ''] = after.split(',');
  const options = done === '' ? {} : { after: accountBatchKey(task.account, done) };
  const ids: string[] = parts === '' ? [] : [done];
  for await (const { key } of deps.store.list(accountBatchesPrefix(task.account), options)) {
    const id = parseAccountBatchKey(key)?.batch;
    if (id !== undefined) ids.push(id);
  }
  for (const id of ids) {
    const found = await find(deps, task, id);
    if (found !== undefined) yield* missedOfBatch(deps, task, found, id === done ? Number(parts) : 0);
    yield { events: [], cursor: `batches ${id}` };
  }
}

/** A batch that may have told something between two times. Of the others as little as possible is read: there may be many. */
async function find(
  { files, states, store }: MissedDependencies,
  task: CatchUp,
  id: string,
): Promise<FoundBatch | undefined> {
  const known = await states.get(id);
  if (known !== undefined && !mayHaveMissed(known, task)) return undefined;
  const record = known === undefined ? undefined : await files.readRecord(id);
  if (known !== undefined && record !== undefined) return { state: known, record };
  const written = (await store.head(manifestKey(id)))?.modifiedAt.getTime();
  // What is opened again, for its failed rows, Redis knows.
  if (written !== undefined && written + MOST_TELLING_MS < task.from) return undefined;
  const found = await readStoredBatch(files, id);
  if (found === undefined) return undefined;
  const { endedAt } = found.state;
  const toldAt = endedAt === undefined ? undefined : (written ?? endedAt) + MOST_TELLING_MS;
  const state = { ...found.state, ...(toldAt === undefined ? {} : { toldAt }) };
  return mayHaveMissed(state, task) ? { record: found.record, state } : undefined;
}

/** A batch that ended before has told of everything; whether somebody listens is seen later. */
function mayHaveMissed(state: BatchState, { account, from, until }: CatchUp): boolean {
  return (
    state.account === account && state.createdAt <= until && (state.endedAt === undefined || toldAt(state) >= from)
  );
}

/** When it was told that a batch has ended, or later: its last row may have ended long before. */
const toldAt = ({ toldAt: known, endedAt = 0 }: BatchState) => known ?? endedAt + MOST_TELLING_MS;

/** Whether its end was told between two times. */
const toldWithin = (state: BatchState, { from, until }: CatchUp) =>
  state.endedAt !== undefined && state.endedAt <= until && toldAt(state) >= from;

/** Rows of a part that were not rendered because their batch was canceled. They ended with it. */
function canceledRows(
  record: BatchRecord,
  part: number,
  { runs, endedAt = 0 }: BatchState,
  results: ReadonlyMap<number, RowResult>,
): RowEnd[] {
  const first = record.parts.slice(0, part).reduce((rows, each) => rows + each.rows, 1);
  return Array.from({ length: record.parts[part]?.rows ?? 0 }, (_, i) => first + i)
    .filter((row) => rowStatus(results.get(row), { status: 'canceled', runs }, false) === 'canceled')
    .map((row) => {
      // Of an earlier run.
      const { attempts = 0, uncertain = 0, cost = 0, started_at = null } = results.get(row) ?? {};
      return { row, run: runs, status: 'canceled', attempts, uncertain, cost, started_at, ended_at: endedAt };
    });
}

async function* missedOfBatch(
  deps: MissedDependencies,
  task: CatchUp,
  { record, state }: FoundBatch,
  firstPart: number,
): AsyncGenerator<MissedPage> {
  const { id, account } = state;
  const own = { url: state.webhook, types: state.webhookEvents ?? null };
  const about = { account, batch_id: id, ...originFields(record) };
  const asksForRows = state.webhookEvents?.some((type) => type.startsWith('job.')) ?? false;
  for (let part = firstPart; asksForRows && part < record.parts.length; part++) {
    // Redis first: what leaves it meanwhile is in the store by then.
    const fresh = await deps.states.results(id, part);
    const results = new Map((await readNewestResults(deps, id, part)).results);
    for (const [row, result] of fresh) results.set(row, laterResult(results.get(row), result));
    const canceled = state.status === 'canceled' ? canceledRows(record, part, state, results) : [];
    const events: OutboxEvent[] = [];
    for (const result of [...results.values(), ...canceled]) {
      const { row, run, ended_at: at } = result;
      const type: EventType = `job.${result.status}`;
      const to = state.webhookEvents?.includes(type) ? addresseeFor(task, type, own) : undefined;
      if (to === undefined || !(result.status === 'canceled' ? toldWithin(state, task) : within(task, at))) continue;
      const job = rowJobId(id, row);
      const told = { id: eventId(job, type, run), type, at, to: [to], job_id: job };
      events.push({ ...about, ...told, row: { row, line: JSON.stringify(result) } });
    }
    yield { events, cursor: `batches ${id},${part + 1}` };
  }
  const events: OutboxEvent[] = [];
  const tell = (type: EventType, at: number, run: number) => {
    const to = addresseeFor(task, type, own);
    if (to !== undefined) events.push({ ...about, id: eventId(id, type, run), type, at, to: [to], state });
  };
  const { status, endedAt, hold } = state;
  if (isBatchFinal(status) && endedAt !== undefined && toldWithin(state, task))
    tell(`batch.${status}`, endedAt, state.runs);
  if (status === 'paused' && within(task, hold?.since)) tell('batch.paused', hold.since, hold.since);
  yield { events, cursor: `batches ${id},${record.parts.length}` };
}
