import type { Nanocredits } from '../credits/amount.ts';
import { type EventType, parseEventsField } from '../webhook/event-type.ts';
import type { BatchHold, BatchStatus } from './batch.ts';

/** A batch as it runs. Times are milliseconds since 1970. */
export interface BatchState {
  readonly id: string;
  readonly account: string;
  readonly status: BatchStatus;
  readonly hold: BatchHold | undefined;
  readonly model: string;
  /** Accepted rows. */
  readonly total: number;
  readonly rejected: number;
  readonly processing: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Only once the batch is canceled: rows that were not rendered because of it. */
  readonly canceled: number;
  readonly cost: Nanocredits;
  /** Estimates of its calls in flight. */
  readonly reserved: Nanocredits;
  /** Calls whose outcome is unknown. */
  readonly uncertain: number;
  readonly name: string | null;
  readonly budget: Nanocredits | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly webhook: string | undefined;
  readonly webhookEvents: readonly EventType[] | undefined;
  readonly runs: number;
  /** `seq` of the decision that holds here. */
  readonly decision: number;
  readonly createdAt: number;
  readonly startedAt: number | undefined;
  readonly endedAt: number | undefined;
  /** When it was told that it has ended: once all of it was in the store. Only Redis knows. */
  readonly toldAt?: number;
  /** When its latest rows ended, newest first, at most 50. */
  readonly latest: readonly number[];
}

/**
 * A batch from its Redis hash; undefined where there is none.
 * @param ends when its latest rows ended, as Redis lists it
 */
export function readBatchState(
  hash: Readonly<Record<string, string>>,
  ends: readonly string[],
): BatchState | undefined {
  if (hash.id === undefined) return undefined;
  const number = (name: string) => Number(hash[name] ?? 0);
  const time = (name: string) => (hash[name] === undefined ? undefined : Number(hash[name]));
  return {
    id: hash.id,
    account: hash.account ?? '',
    status: hash.status as BatchStatus,
    hold: hash.hold === undefined ? undefined : (JSON.parse(hash.hold) as BatchHold),
    model: hash.model ?? '',
    total: number('total'),
    rejected: number('rejected'),
    processing: number('processing'),
    succeeded: number('succeeded'),
    failed: number('failed'),
    canceled: number('canceled'),
    cost: number('cost'),
    reserved: number('reserved'),
    uncertain: number('uncertain'),
    name: hash.name ?? null,
    budget: hash.budget === undefined ? null : number('budget'),
    metadata: JSON.parse(hash.metadata ?? '{}') as BatchState['metadata'],
    webhook: hash.webhook,
    webhookEvents: hash.webhook_events === undefined ? undefined : (parseEventsField(hash.webhook_events) ?? undefined),
    runs: number('runs'),
    decision: number('decision'),
    createdAt: number('created_at'),
    startedAt: time('started_at'),
    endedAt: time('ended_at'),
    ...(hash.told_at === undefined ? {} : { toldAt: Number(hash.told_at) }),
    latest: ends.map(Number),
  };
}
