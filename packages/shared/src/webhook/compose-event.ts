import type { BatchRecord } from '../batch/batch.ts';
import { type BatchFiles, RowsLostError } from '../batch/batch-files.ts';
import { type BatchState, readBatchState } from '../batch/batch-state.ts';
import type { BatchStates } from '../batch/batch-states.ts';
import { createBatchViewer } from '../batch/batch-viewer.ts';
import { partOfRow, type RowRecord } from '../batch/row.ts';
import type { RowEnd } from '../batch/row-result.ts';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import { toCredits } from '../credits/amount.ts';
import type { Ledger } from '../credits/ledger.ts';
import { readJob } from '../job/read-job.ts';
import { batchData } from './batch-data.ts';
import type { OutboxEvent } from './event.ts';
import { type BodyData, fitBody, omit } from './fit-body.ts';
import { jobData, rowData } from './job-data.ts';

export interface EventComposer {
  /**
   * The body of an event's webhook, `{type, timestamp, data}` as JSON: under 20,000 bytes of UTF-8, and the same however
   * often it is composed, but for what a batch is expected to cost and for what was deleted meanwhile.
   * @throws {StoreError} when the store cannot be read, and what Redis throws: it can be composed later.
   * @throws {Error} for an event that tells of nothing.
   */
  compose(event: OutboxEvent): Promise<string>;
}

/** Composes what webhooks tell: jobs and batches as a GET shows them, as they were at the event. */
export function createEventComposer({
  files,
  states,
  ledger,
  config,
  clock,
}: {
  readonly files: Pick<BatchFiles, 'readRecord' | 'readRows'>;
  readonly states: Pick<BatchStates, 'get'>;
  readonly ledger: Pick<Ledger, 'snapshot'>;
  readonly config: Pick<Config, 'PUBLIC_URL' | 'SEGMIND_RPM' | 'SEGMIND_CONCURRENCY' | 'floor'>;
  readonly clock: Clock;
}): EventComposer {
  const contextOf = ({ at }: OutboxEvent) => ({ publicUrl: config.PUBLIC_URL, at });

  async function ofRow(event: OutboxEvent, line: string): Promise<BodyData> {
    const { account, batch_id: batch = '' } = event;
    const result = JSON.parse(line) as RowEnd;
    const record = await unlessLost(files.readRecord(batch));
    const row = record && (await findRow(record, result.row));
    return rowData({ batch, account, result, record, row }, contextOf(event));
  }

  async function findRow(record: BatchRecord, number: number): Promise<RowRecord | undefined> {
    const place = partOfRow(record.parts, number);
    if (place === undefined) return undefined;
    const rows = await unlessLost(files.readRows(record, place.part));
    const row = rows?.[number - place.first];
    return row?.row === number ? row : undefined;
  }

  async function ofBatch(event: OutboxEvent, then: BatchState): Promise<BodyData> {
    const [record, now] = await Promise.all([unlessLost(files.readRecord(then.id)), states.get(then.id)]);
    const state = { ...then, latest: (now?.latest ?? []).filter((end) => end <= event.at) };
    // Rates and forecasts are those of then; the books are those of now.
    const viewer = createBatchViewer({ ledger, config, clock: { ...clock, now: () => event.at } });
    return batchData(state, record, viewer);
  }

  async function dataOf(event: OutboxEvent): Promise<BodyData> {
    const job = event.job && readJob(event.job);
    if (job !== undefined) return jobData(job, contextOf(event));
    if (event.row !== undefined) return ofRow(event, event.row.line);
    const batch = event.state ?? (event.batch && readBatchState(event.batch, []));
    if (batch !== undefined) return ofBatch(event, batch);
    if (event.credits !== undefined) return short(ofCredits(event.credits));
    if (event.endpoint !== undefined) return short(ofEndpoint(event.type, event.endpoint));
    throw new Error(`The event ${event.id} (${event.type}) tells of no job, row, batch, credits or endpoint.`);
  }

  return {
    async compose(event) {
      return fitBody({ type: event.type, timestamp: new Date(event.at).toISOString() }, await dataOf(event));
    },
  };
}

/** What was deleted, or overwritten with something else, is undefined; what cannot be read for now throws. */
async function unlessLost<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof RowsLostError || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function ofCredits({ from, to, cause, balance, floor }: NonNullable<OutboxEvent['credits']>) {
  const credits = (nano: string) => (nano === '' ? null : toCredits(Number(nano)));
  return { object: 'credit_state', from, to, cause, balance: credits(balance), floor: credits(floor) };
}

function ofEndpoint(type: OutboxEvent['type'], { id, url, reason }: NonNullable<OutboxEvent['endpoint']>) {
  return type === 'webhook.test'
    ? { object: 'webhook', id, message: 'This is a test event. Nothing has happened.' }
    : { object: 'webhook', id, url, state: 'disabled', reason };
}

/** Of what only a URL makes long. */
function short(data: Readonly<Record<string, unknown>>): BodyData {
  const less: BodyData['less'] = (fields) => omit(fields, ['url']);
  return { data, less, least: less };
}
