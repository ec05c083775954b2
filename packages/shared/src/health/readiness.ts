import type { Clock } from '../clock.ts';
import type { Recovery } from '../recovery/recovery.ts';
import { connectionError, type Redis } from '../redis/connect.ts';
import { type Generation, generationKey } from '../redis/generation.ts';
import type { Store } from '../store/store.ts';
import { describeRefusal } from './redis-refusal.ts';

/** One thing that a process cannot work without. */
export interface Check {
  readonly name: 'process' | 'redis' | 'generation' | 'store' | 'settings' | 'tickets';
  readonly ok: boolean;
  /** Public text. */
  readonly detail: string;
}

/** A check writes to the store, so probes share its result for this long. */
const STORE_CHECK_MS = 5000;
/** Below the two seconds in which the API answers when something is down. */
const PATIENCE_MS = 1500;
/** How long what a check writes to Redis stays there. */
const WRITTEN_SECONDS = 10;

/** A process that has not come so far that more could be looked at. */
export const STARTING: Check = { name: 'process', ok: false, detail: 'The process is starting.' };
const STARTING_WITHOUT = {
  redis: { ...STARTING, detail: 'The process is starting, and Redis has not answered yet.' },
  store: { ...STARTING, detail: 'The process is starting, and the object store has not answered yet.' },
};
const STOPPING: Check = { name: 'process', ok: false, detail: 'The process is stopping.' };

/** Whether a process can do its work now, and if not, why. It never rejects. */
export function createReadiness({
  redis,
  store,
  generation,
  recovery,
  prefix,
  clock,
  isStopping,
  checks = [],
}: {
  /** One that fails soon when Redis is away, as those for `api` do. */
  readonly redis: Redis;
  readonly store: Store;
  readonly generation: Generation;
  readonly recovery: Recovery;
  readonly prefix: string;
  readonly clock: Clock;
  readonly isStopping: () => boolean;
  /** What else this process needs. They answer at once, or within the time of the others, and never reject. */
  readonly checks?: readonly (() => Check | Promise<Check>)[];
}): () => Promise<readonly Check[]> {
  const checkRedis = async (): Promise<readonly Check[]> => {
    const [mark, written] = await Promise.all([
      inTime(clock, redis.get(generationKey(prefix))),
      // A Redis that is read and refuses writes takes no job.
      inTime(clock, redis.set(`${prefix}ready`, '1', 'EX', WRITTEN_SECONDS)),
    ]);
    const failed = [mark, written].find((each) => each.failed);
    const ofRedis: Check = {
      name: 'redis',
      ok: failed === undefined,
      detail:
        failed === undefined ? 'Redis can be read and written.' : describeRefusal(failed.error, connectionError(redis)),
    };
    if (mark.failed) return [ofRedis, { name: 'generation', ok: false, detail: 'It cannot be read without Redis.' }];
    const known = mark.value !== null && mark.value === generation.known;
    // Nobody else may come to notice while a load balancer keeps requests away. The watch tells of failures.
    if (!known) recovery.ensure().catch(() => undefined);
    return [
      ofRedis,
      {
        name: 'generation',
        ok: known,
        detail: known
          ? 'Redis is the one that is known.'
          : 'rebuilding: Redis is new, or was emptied or replaced. What the store holds is brought back into it.',
      },
    ];
  };
  const checkStore = async (): Promise<Check> => {
    const checked = await inTime(clock, store.check(AbortSignal.timeout(PATIENCE_MS)));
    return {
      name: 'store',
      ok: !checked.failed,
      detail: checked.failed
        ? 'The object store cannot be written or read, or does not answer in time.'
        : 'The object store can be written and read.',
    };
  };
  let storeCheck = { at: Number.NEGATIVE_INFINITY, result: undefined as Promise<Check> | undefined };
  const checkStoreSometimes = () => {
    const now = clock.now();
    if (storeCheck.result === undefined || now - storeCheck.at >= STORE_CHECK_MS || now < storeCheck.at)
      storeCheck = { at: now, result: checkStore() };
    return storeCheck.result as Promise<Check>;
  };

  return async () => {
    if (isStopping()) return [STOPPING];
    const { waitsFor } = recovery;
    const [ofRedis, ofStore, ...others] = await Promise.all([
      checkRedis(),
      checkStoreSometimes(),
      ...checks.map((check) => check()),
    ]);
    const started = waitsFor === 'redis' || waitsFor === 'store' ? [STARTING_WITHOUT[waitsFor]] : [];
    return [...started, ...ofRedis, ofStore, ...others];
  };
}

type Outcome<T> =
  | { readonly failed: false; readonly value: T }
  /** Without an error the time was over. */
  | { readonly failed: true; readonly error?: unknown };

async function inTime<T>(clock: Clock, promise: Promise<T>): Promise<Outcome<T>> {
  const timer = new AbortController();
  try {
    return await Promise.race([
      promise.then((value) => ({ failed: false as const, value })),
      clock.sleep(PATIENCE_MS, timer.signal).then(() => ({ failed: true as const })),
    ]);
  } catch (error) {
    return { failed: true, error };
  } finally {
    timer.abort();
  }
}
