import type { Clock } from '@renderyard/shared/clock';
import { describeError } from '@renderyard/shared/describe-error';
import type { Logger } from '@renderyard/shared/logger';
import type { Redis } from '@renderyard/shared/redis/connect';
import { generationKey } from '@renderyard/shared/redis/generation';
import { BEGIN, type LiveEntry, readEntry } from './live-entry.ts';

/** A read waits so long for news. An emptied Redis is noticed in this time, also when nothing is written. */
const BLOCK_MS = 2_000;
/** A connection that owes an answer for longer is given up; TCP would wait for a quarter of an hour. */
const SILENCE_MS = BLOCK_MS + 3_000;
const MOST_READ = 500;
/** After news the next are waited for, so that a busy installation is not read entry by entry. */
const GATHER_MS = 5;
/** Between two looks at a Redis that is away, or being rebuilt. */
const LOOK_AGAIN_MS = 250;

/** What is heard besides entries. */
export type Word =
  /** Entries were missed: Redis was emptied or replaced, or had dropped them before they were read. */
  | 'gap'
  /** The connection broke and is back. No entry was missed. */
  | 'reconnected'
  /** Nothing more will be heard. */
  | 'closed';

type Answer = readonly [error: Error | null, value: unknown];
type RawEntry = readonly [id: string, fields: readonly string[]];

/**
 * Reads the stream `live` from its end on, by one blocking read at a time on a connection of its own. It goes on where it
 * was when that connection breaks. After every read it looks whether the entry that was read last before is still there,
 * and whether this is still the same Redis: both tell of a gap.
 */
export function createLiveReader({
  connect,
  prefix,
  onEntries,
  onWord,
  clock,
  logger,
}: {
  /** A connection for blocking reads; this closes it. */
  readonly connect: () => Redis;
  readonly prefix: string;
  readonly onEntries: (entries: readonly LiveEntry[]) => void;
  readonly onWord: (word: Word) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}) {
  const stream = `${prefix}live`;
  const mark = generationKey(prefix);
  const closed = new AbortController();
  const begun = Promise.withResolvers<void>();
  let connection = open();
  let giveUp: AbortController | undefined;
  let position: string | undefined;
  let known: string | undefined;

  function open(): Redis {
    const opened = connect();
    let wasReady = false;
    opened.on('ready', () => {
      if (wasReady) onWord('reconnected');
      wasReady = true;
    });
    return opened;
  }

  /** @throws {Error} when Redis cannot be read, or is silent. */
  async function ask(commands: readonly (readonly (string | number)[])[]): Promise<readonly unknown[]> {
    const over = new AbortController();
    giveUp = over;
    const silence = clock.sleep(SILENCE_MS, over.signal).then(() => {
      throw new Error(over.signal.aborted ? 'nobody waits any more' : `Redis is silent for ${SILENCE_MS} ms`);
    });
    try {
      const pipeline = connection.pipeline(commands.map((command) => [...command]));
      const answers = (await Promise.race([pipeline.exec(), silence])) as readonly Answer[];
      return answers.map(([error, value]) => {
        if (error !== null) throw error;
        return value;
      });
    } finally {
      over.abort();
    }
  }

  /** Begins at the end of the stream, once there is a Redis that is not being rebuilt. */
  async function begin(): Promise<void> {
    const [found, newest] = (await ask([
      ['get', mark],
      ['xrevrange', stream, '+', '-', 'COUNT', 1],
    ])) as [string | null, readonly RawEntry[]];
    if (found === null) return clock.sleep(LOOK_AGAIN_MS, closed.signal);
    known = found;
    position = newest[0]?.[0] ?? BEGIN;
    begun.resolve();
    onWord('gap');
  }

  async function readOn(from: string): Promise<void> {
    // One after the other: what is read is told only if it is found then that nothing is missing in front of it.
    const [read, last, found] = (await ask([
      ['xread', 'COUNT', MOST_READ, 'BLOCK', BLOCK_MS, 'STREAMS', stream, from],
      ['xrange', stream, from, from],
      ['get', mark],
    ])) as [readonly (readonly [string, readonly RawEntry[]])[] | null, readonly RawEntry[], string | null];
    if (closed.signal.aborted) return;
    if (found !== known || (last.length === 0 && from !== BEGIN)) {
      position = undefined;
      return;
    }
    const entries = (read?.[0]?.[1] ?? []).map(readEntry);
    position = entries.at(-1)?.id ?? from;
    if (entries.length === 0) return;
    onEntries(entries);
    await clock.sleep(GATHER_MS, closed.signal);
  }

  async function run(): Promise<void> {
    let told = false;
    while (!closed.signal.aborted) {
      try {
        await (position === undefined ? begin() : readOn(position));
        told = false;
      } catch (error) {
        if (closed.signal.aborted) return;
        if (!told) logger.warn({ err: describeError(error) }, 'what happens cannot be heard; connecting again');
        told = true;
        connection.disconnect();
        await clock.sleep(LOOK_AGAIN_MS, closed.signal);
        if (closed.signal.aborted) return;
        connection = open();
        onWord('reconnected');
      }
    }
  }
  const running = run();

  return {
    /** Resolves once every entry that is written from then on will be heard. */
    begun: begun.promise,
    /** Every entry up to this one was told. */
    get position() {
      return position ?? BEGIN;
    },
    get closed() {
      return closed.signal.aborted;
    },
    async close(): Promise<void> {
      if (!closed.signal.aborted) {
        closed.abort();
        giveUp?.abort();
        connection.disconnect();
        onWord('closed');
      }
      await running;
    },
  };
}
