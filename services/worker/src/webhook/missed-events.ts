import type { CatchUp } from '@renderyard/shared/webhook/catch-up-store';
import type { OutboxEvent } from '@renderyard/shared/webhook/event';
import { eventId } from '@renderyard/shared/webhook/event-id';
import { type EventType, JOB_EVENT_TYPES, parseEventsField } from '@renderyard/shared/webhook/event-type';
import { missedBatches } from './missed-batches.ts';
import { addresseeFor, type MissedDependencies, type MissedPage, within } from './missed-page.ts';

/** Jobs read at once. */
const JOBS_AT_ONCE = 200;

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
