import type { Clock } from '@renderyard/shared/clock';

/**
 * Milliseconds in which it is tried, waiting for a turn included; what was begun in time is ended. Twenty at once are
 * through within about one second, and within this on a machine that is busy otherwise.
 */
const TRY_FOR_MS = 5000;
/** Milliseconds between two tries, at most. That they are random brings those who collided out of step. */
const LONGEST_WAIT_MS = 20;

/** Lets those who change one thing at once come one after the other. */
export interface Turns {
  /**
   * The tries of a change that others may be quicker with; whoever leaves the loop leaves the turn to the next. Within
   * this process one waits for another. Other processes do not: those may be quicker nevertheless, and so there are
   * further tries after short, random waits. At least one try is given; no other is begun after about five seconds.
   * @param what the thing that is changed.
   */
  tries(what: string): AsyncGenerator<void, void, void>;
}

export function createTurns({ clock }: { readonly clock: Clock }): Turns {
  /** Of each thing that is being changed: when the last one that came has ended. */
  const ends = new Map<string, Promise<void>>();
  const enter = (what: string) => {
    const before = ends.get(what) ?? Promise.resolve();
    const { promise: left, resolve: leave } = Promise.withResolvers<void>();
    const end = before.then(() => left).then(() => void (ends.get(what) === end && ends.delete(what)));
    ends.set(what, end);
    return { before, leave };
  };
  /** Resolves when that has, or after so many milliseconds. */
  const within = async (ms: number, that: Promise<void>) => {
    const late = new AbortController();
    await Promise.race([that, clock.sleep(ms, late.signal)]);
    late.abort();
  };
  return {
    async *tries(what) {
      const until = clock.now() + TRY_FOR_MS;
      const { before, leave } = enter(what);
      try {
        await within(TRY_FOR_MS, before);
        do {
          yield;
          await clock.sleep(Math.random() * LONGEST_WAIT_MS);
        } while (clock.now() < until);
      } finally {
        leave();
      }
    },
  };
}
