import { readOrigin } from '../origin.ts';
import { parseEventsField } from '../webhook/event-type.ts';
import { type Image, imageKey, type Job, type JobError, type JobStatus } from './job.ts';

/** A job from its Redis hash; undefined where there is none. */
export function readJob(hash: Readonly<Record<string, string>>): Job | undefined {
  if (hash.id === undefined) return undefined;
  const time = (name: string) => (hash[name] === undefined ? undefined : Number(hash[name]));
  return {
    id: hash.id,
    account: hash.account ?? '',
    batch: hash.batch,
    row: hash.row === undefined ? undefined : Number(hash.row),
    run: Number(hash.run ?? 0),
    status: hash.status as JobStatus,
    model: hash.model ?? '',
    input: JSON.parse(hash.input ?? '{}') as Job['input'],
    metadata: JSON.parse(hash.metadata ?? '{}') as Job['metadata'],
    webhook: hash.webhook,
    webhookEvents: hash.webhook_events === undefined ? undefined : (parseEventsField(hash.webhook_events) ?? undefined),
    output: JSON.parse(hash.output ?? '[]') as readonly Image[],
    error: hash.error === undefined ? undefined : (JSON.parse(hash.error) as JobError),
    attempts: Number(hash.attempts),
    tries: Number(hash.tries),
    uncertain: Number(hash.uncertain),
    uncertainTries: Number(hash.uncertain_tries),
    cost: Number(hash.cost),
    cancelRequested: hash.cancel !== undefined,
    call: hash.call ?? '',
    ticket: Number(hash.ticket),
    createdAt: Number(hash.created_at),
    startedAt: time('started_at'),
    endedAt: time('ended_at'),
    expiresAt: time('expires_at'),
    imageKey: hash.batch === undefined ? imageKey(hash.id) : '',
    origin: readOrigin(hash),
  };
}
