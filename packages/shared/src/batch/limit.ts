import { type Means, reachable } from './estimate.ts';

/** What keeps a batch from going faster, for people and programs. */
export interface Limit {
  readonly by: 'rate' | 'concurrency' | 'hold';
  readonly detail: string;
}

/**
 * What bounds the speed of a batch that has rows to render.
 * @param hold why it waits, if it does. @param inFlight calls of all batches and jobs together; undefined where nothing
 * is known of them yet.
 */
export function limitOf(
  { perMinute, slots }: Pick<Means, 'perMinute' | 'slots'>,
  { hold, inFlight }: { readonly hold: { readonly detail: string } | undefined; readonly inFlight: number | undefined },
): Limit {
  if (hold !== undefined) return { by: 'hold', detail: hold.detail };
  const bound = inFlight === undefined || inFlight === 0 ? reachable({ perMinute, slots }).bound : undefined;
  if (bound === 'concurrency' || (bound === undefined && (inFlight ?? 0) >= slots))
    return {
      by: 'concurrency',
      detail: `At most ${slots} calls are in flight at a time (SEGMIND_CONCURRENCY), over all batches and jobs.`,
    };
  return {
    by: 'rate',
    detail: `At most ${perMinute} calls are begun in a minute (SEGMIND_RPM), over all batches and jobs.`,
  };
}
