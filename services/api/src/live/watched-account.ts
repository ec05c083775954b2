import type { Clock } from '@renderyard/shared/clock';
import { ProblemError } from '../errors/problem-error.ts';
import { isOf, type LiveEntry, type Topic } from './live-entry.ts';
import type { LiveViews } from './live-views.ts';
import { NOTHING, type Shown, type Watched } from './watched.ts';
import { meaningForBatch } from './watched-batch.ts';

/**
 * All jobs and batches of an account, and the credits.
 * @param rows whether the ends of rows are told one by one.
 * @param types those that are told; all of them if left out.
 */
export function watchedAccount(
  account: string,
  { rows, types }: { readonly rows: boolean; readonly types: ReadonlySet<string> | undefined },
  { views, clock }: { readonly views: LiveViews; readonly clock: Clock },
): Watched {
  const topic: Topic = `account:${account}`;
  const isWanted = (type: string) => types === undefined || types.has(type);

  async function dataOf(entry: LiveEntry): Promise<unknown> {
    const { id, job, batch, row, event, webhook } = entry;
    if (row !== undefined) return (await views.endedRow(entry)) ?? gone('job', job);
    if (job !== undefined) return orGone('job', job, views.job(job, account, id));
    if (batch !== undefined) return orGone('batch', batch, views.batch(batch, account, id));
    if (event !== undefined) return (await views.credits(event, id)) ?? { object: 'credit_event', id: event };
    return { object: 'webhook', id: webhook, state: 'disabled' };
  }

  return {
    topic,
    snapshot: async () => ({
      data: { object: 'account_snapshot', at: new Date(clock.now()).toISOString() },
      ended: false,
    }),
    meaningOf: (entry) => {
      if (!isOf(topic, entry)) return NOTHING;
      const { isEvent, progressOf } = meaningForBatch(entry, rows);
      return {
        isEvent: isEvent && isWanted(entry.type),
        progressOf: isWanted('batch.progress') ? progressOf : undefined,
      };
    },
    event: async (entry): Promise<Shown> => ({ data: await dataOf(entry), ended: false }),
    progress: async (batch, entry) => {
      const view = await views.batch(batch, account, entry).catch(ifNotFound(() => undefined));
      return view && { data: view, ended: false };
    },
  };
}

/** What is told of something that was deleted before it could be told of. */
function gone(object: 'job' | 'batch', id: string | undefined) {
  return { id, object, deleted: true };
}

function orGone<T>(object: 'job' | 'batch', id: string, view: Promise<T>): Promise<unknown> {
  return view.catch(ifNotFound(() => gone(object, id)));
}

function ifNotFound<T>(otherwise: () => T): (error: unknown) => T {
  return (error) => {
    if (error instanceof ProblemError && error.code === 'not_found') return otherwise();
    throw error;
  };
}
