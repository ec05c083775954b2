import type { Clock } from '@renderyard/shared/clock';
import type { Ended } from './guarded-process.ts';

/** What is supervised: something that runs until it ends or is ended. */
export interface Running {
  readonly exited: Promise<Ended>;
  /** Asks it to end, and makes it after `deadlineMs`. */
  stop(deadlineMs: number): Promise<unknown>;
  /** Ends it at once, without asking. */
  kill(signal: 'SIGKILL'): void;
}

/** Thrown, or given, when something ends again and again. The message has its last words. */
export class GaveUpError extends Error {
  override readonly name = 'GaveUpError';
}

export interface Supervised<R extends Running> {
  /** The one that ran last. */
  readonly current: R;
  /** Resolves when it is given up: it ended five times in a row without running for half a minute. */
  readonly gaveUp: Promise<GaveUpError>;
  /** Stops it, and starts it no more. */
  stop(deadlineMs: number): Promise<void>;
  kill(): void;
}

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;
/** Whoever ran for this long has got over whatever ended it the last time. */
const STEADY_MS = 30_000;
const MOST_ENDS = 5;

/** How something ended, in words. */
export function describeEnd({ code, signal }: Ended): string {
  return signal === null ? `with code ${code}` : `by ${signal}`;
}

/**
 * Starts something and, when it ends on its own, starts it again: after half a second, then after twice as long each
 * time, up to 15 s.
 * @param start resolves when it is ready. Whatever it throws the first time is thrown here.
 */
export async function supervise<R extends Running>(options: {
  readonly name: string;
  readonly start: (signal: AbortSignal) => Promise<R>;
  readonly clock: Clock;
  /** Told of every end and new start. */
  readonly notice: (text: string) => void;
}): Promise<Supervised<R>> {
  const { name, start, clock, notice } = options;
  const stopping = new AbortController();
  let current = await start(stopping.signal);
  let readyAt = clock.now();
  let starting: Promise<R> | undefined;

  const runUntilGivenUp = async (): Promise<GaveUpError | undefined> => {
    let ends = 0;
    let lastWords = '';
    for (;;) {
      const ended = await current.exited;
      if (stopping.signal.aborted) return undefined;
      if (clock.now() - readyAt > STEADY_MS) ends = 0;
      lastWords = ended.output;
      let how = `ended ${describeEnd(ended)}`;
      for (starting = undefined; starting === undefined; ) {
        ends += 1;
        if (ends >= MOST_ENDS)
          return new GaveUpError(`The ${name} ${how}, ${ends} times in a row. Its last words:\n${lastWords}`);
        const delayMs = Math.min(FIRST_DELAY_MS * 2 ** (ends - 1), LONGEST_DELAY_MS);
        notice(`The ${name} ${how}. It is started again in ${delayMs / 1_000} s.`);
        await clock.sleep(delayMs, stopping.signal);
        if (stopping.signal.aborted) return undefined;
        starting = start(stopping.signal);
        try {
          current = await starting;
        } catch (error) {
          starting = undefined;
          if (stopping.signal.aborted) return undefined;
          how = 'did not start';
          lastWords = error instanceof Error ? error.message : String(error);
        }
      }
      readyAt = clock.now();
      if (!stopping.signal.aborted) notice(`The ${name} runs again.`);
    }
  };

  const finished = runUntilGivenUp();
  return {
    get current() {
      return current;
    },
    gaveUp: new Promise((resolve, reject) => {
      finished.then((error) => {
        if (error !== undefined) resolve(error);
      }, reject);
    }),
    stop: async (deadlineMs) => {
      stopping.abort();
      await starting?.catch(() => undefined);
      await current.stop(deadlineMs);
    },
    kill: () => {
      stopping.abort();
      current.kill('SIGKILL');
    },
  };
}
