import { createBatchFiles } from '@renderyard/shared/batch/batch-files';
import type { BatchState } from '@renderyard/shared/batch/batch-state';
import { systemClock } from '@renderyard/shared/clock';
import type { Job } from '@renderyard/shared/job/job';
import { createEventComposer } from '@renderyard/shared/webhook/compose-event';
import type { OutboxEvent } from '@renderyard/shared/webhook/event';
import { openBatchBench } from '../batch-results/batch-bench.ts';

export type ComposeBench = Awaited<ReturnType<typeof openComposeBench>>;

/** A running API whose account hears every event, and what a worker has to compose them. Use it with `await using`. */
export async function openComposeBench() {
  const bench = await openBatchBench();
  const { api, states, store } = bench;
  const config = { ...api.config, PUBLIC_URL: new URL(api.url).origin };
  await api.redis.hset(`${api.prefix}hooks:default`, 'whk_1', '*');
  /** As a worker that has just started: it has kept nothing of what it read. */
  const newComposer = () =>
    createEventComposer({ files: createBatchFiles({ store }), states, ledger: api.ledger, config, clock: systemClock });
  return {
    ...bench,
    publicUrl: config.PUBLIC_URL,
    newComposer,
    compose: newComposer().compose,
    /** What was told, the oldest first. */
    told: async (): Promise<OutboxEvent[]> => {
      const entries = await api.redis.xrange(`${api.prefix}outbox`, '-', '+');
      return entries.map(([, [, event = '']]) => JSON.parse(event) as OutboxEvent);
    },
    /** Has the rows of a batch tell of themselves. */
    askForRows: (batch: string) =>
      api.redis.hset(`${api.prefix}batch:${batch}`, 'webhook_events', ' job.succeeded job.failed batch.paused '),
    [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose](),
  };
}

/** The event of a type; what is given differs. */
export function eventOf(over: Partial<OutboxEvent>): OutboxEvent {
  return { id: 'evt_1', type: 'job.failed', account: 'default', at: 1_700_000_000_123, to: [], ...over };
}

/** A single job that failed, as Redis keeps it. */
export function jobHash(over: Partial<Record<keyof Job | 'webhook_events', string>> = {}): Record<string, string> {
  return {
    ...{ id: 'job_01jm0000000000000000000000', account: 'default', status: 'failed', model: 'm', input: '{}' },
    ...{ error: '{"code":"bad_image","detail":"Cut off."}', attempts: '5', tries: '5', uncertain: '1' },
    ...{ uncertain_tries: '0', cost: '12345678', ticket: '1', created_at: '1699999999000' },
    ...{ started_at: '1700000000000', ended_at: '1700000000123' },
    ...over,
  };
}

/** A batch that completed, as Redis keeps it. */
export function batchHash(id: string, over: Partial<Record<keyof BatchState, string>> = {}): Record<string, string> {
  return {
    ...{ id, account: 'default', status: 'completed', model: 'm', total: '2', rejected: '100', processing: '0' },
    ...{ succeeded: '1', failed: '1', cost: '20000000', reserved: '0', uncertain: '0', runs: '0', decision: '1' },
    ...{ created_at: '1699999990000', started_at: '1699999995000', ended_at: '1700000000123' },
    ...over,
  };
}
