import { type BatchRecord, isBatchFinal } from '@renderyard/shared/batch/batch';
import type { BatchFiles } from '@renderyard/shared/batch/batch-files';
import {
  accountBatchesPrefix,
  accountBatchKey,
  manifestKey,
  parseAccountBatchKey,
} from '@renderyard/shared/batch/batch-layout';
import type { BatchState } from '@renderyard/shared/batch/batch-state';
import type { BatchStates } from '@renderyard/shared/batch/batch-states';
import type { FoundBatch } from '@renderyard/shared/batch/found-batch';
import { readNewestResults } from '@renderyard/shared/batch/newest-results';
import { rowJobId } from '@renderyard/shared/batch/row';
import type { RowEnd, RowResult } from '@renderyard/shared/batch/row-result';
import { laterResult, rowStatus } from '@renderyard/shared/batch/row-status';
import { readStoredBatch } from '@renderyard/shared/batch/stored-batch';
import type { Redis } from '@renderyard/shared/redis/connect';
import type { Store } from '@renderyard/shared/store/store';
import type { CatchUp } from '@renderyard/shared/webhook/catch-up-store';
import { receiverOf } from '@renderyard/shared/webhook/delivery';
import type { Addressee, OutboxEvent } from '@renderyard/shared/webhook/event';
import { eventId } from '@renderyard/shared/webhook/event-id';
import { type EventType, JOB_EVENT_TYPES, parseEventsField } from '@renderyard/shared/webhook/event-type';

export interface MissedDependencies {
  readonly redis: Redis;
  readonly prefix: string;
  readonly files: BatchFiles;
  readonly states: BatchStates;
  readonly store: Store;
}

/** Events that were read, and where to go on after them. */
export interface MissedPage {
  readonly events: readonly OutboxEvent[];
  readonly cursor: string;
}

/** Jobs read at once. */
const JOBS_AT_ONCE = 200;
/** That a batch has ended is told so long after its manifest was written at most: as long as its writer's lease lasts. */
const MOST_TELLING_MS = 30_000;

/**
 * What a receiver would have been told between two times, from what has ended since: jobs as Redis keeps them, batches
 * and their rows as they lie in the store, and changes of the credits. How far a batch was is not told again. The events
 * have the ids that they had.
 */
export async function* missedEvents(deps: MissedDependencies, task: CatchUp): AsyncGenerator<MissedPage> {
  const [phase = 'jobs', at = ''] = (task.cursor ?? '').split(' ').filter(Boolean);
  if (phase === 'jobs') yield* missedJobs(deps, task, at);
  if (phase === 'jobs' || phase === 'credits') yield* missedCredits(deps, task);
  yield* missedBatches(deps, task, phase === 'batches' ? at : '');
}

/** Whom of those that `own` and the receiver's subscription name the receiver is. */
function addresseeFor(
  { receiver, account, events }: CatchUp,
  type: EventType,
  own: { readonly url: string | undefined; readonly types: readonly EventType[] | null },
): Addressee | undefined {
  if (events !== undefined) return hears(parseEventsField(events), type) ? { webhook: receiver } : undefined;
  if (own.url === undefined || !hears(own.types, type)) return undefined;
  const to = { url: own.url };
  return receiverOf(account, to) === receiver ? to : undefined;
}

const hears = (types: readonly EventType[] | null, type: EventType) => types === null || types.includes(type);
const within = ({ from, until }: CatchUp, at: number | undefined): at is number =>
  at !== undefined && at >= from && at <= until;

/** Jobs outside of batches, by when they ended. */
async function* missedJobs({ redis, prefix }: MissedDependencies, task: CatchUp, after: string) {
  let [score = task.from, seen = 0] = after.split(',').filter(Boolean).map(Number);
  for (;;) {
    const flat = await redis.zrange(
      `${prefix}ended`,
      String(score),
      String(task.until),
      'BYSCORE',
      'LIMIT',
      seen,
      JOBS_AT_ONCE,
      'WITHSCORES',
    );
    if (flat.length === 0) return;
    const events: OutboxEvent[] = [];
    for (let i = 0; i + 1 < flat.length; i += 2) {
      const ended = Number(flat[i + 1]);
      seen = ended === score ? seen + 1 : 1;
      score = ended;
      const job = await redis.hgetall(`${prefix}job:${flat[i]}`);
      if (job.id === undefined || job.account !== task.account) continue;
      const type = JOB_EVENT_TYPES.find((each) => each === `job.${job.status}`);
      // It was retried in this moment.
      if (type === undefined) continue;
      const own = { url: job.webhook, types: parseEventsField(job.webhook_events ?? '') };
      const to = addresseeFor(task, type, own);
      if (to === undefined) continue;
      const id = eventId(job.id, type, job.endings ?? '1');
      events.push({ id, type, account: task.account, at: ended, to: [to], job_id: job.id, job });
    }
    yield { events, cursor: `jobs ${score},${seen}` };
  }
}

async function* missedCredits({ redis, prefix }: MissedDependencies, task: CatchUp) {
  const events: OutboxEvent[] = [];
  for (const [, flat] of task.events === undefined ? [] : await redis.xrange(`${prefix}credit-events`, '-', '+')) {
    const entry: Record<string, string> = {};
    for (let i = 0; i + 1 < flat.length; i += 2) entry[flat[i] ?? ''] = flat[i + 1] ?? '';
    const { id = '', type = '', at, from = '', to: became = '', cause = '', balance = '', floor = '' } = entry;
    const to = type === '' ? undefined : addresseeFor(task, type as EventType, { url: undefined, types: null });
    if (to === undefined || !within(task, Number(at))) continue;
    const credits = { from, to: became, cause, balance, floor };
    events.push({ id, type: type as EventType, account: task.account, at: Number(at), to: [to], credits });
  }
  yield { events, cursor: 'batches' };
}

/** Batches in the order of their ids, each with its rows. */
async function* missedBatches(deps: MissedDependencies, task: CatchUp, after: string): AsyncGenerator<MissedPage> {
  const [done = '', parts = ''] = after.split(',');
  const options = done === '' ? {} : { after: accountBatchKey(task.account, done) };
  const ids: string[] = parts === '' ? [] : [done];
  for await (const { key } of deps.store.list(accountBatchesPrefix(task.account), options)) {
    const id = parseAccountBatchKey(key)?.batch;
    if (id !== undefined) ids.push(id);
  }
  for (const id of ids) {
    const found = await find(deps, id);
    if (found !== undefined && mayHaveMissed(found.state, task))
      yield* missedOfBatch(deps, task, found, id === done ? Number(parts) : 0);
    yield { events: [], cursor: `batches ${id}` };
  }
}

async function find({ files, states, store }: MissedDependencies, id: string): Promise<FoundBatch | undefined> {
  const known = await states.get(id);
  const record = known === undefined ? undefined : await files.readRecord(id);
  if (known !== undefined && record !== undefined) return { state: known, record };
  const found = await readStoredBatch(files, id);
  if (found?.state.endedAt === undefined) return found;
  const written = (await store.head(manifestKey(id)))?.modifiedAt.getTime() ?? found.state.endedAt;
  return { record: found.record, state: { ...found.state, toldAt: written + MOST_TELLING_MS } };
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
  const about = { account, batch_id: id };
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
