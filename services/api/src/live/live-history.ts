import type { Redis } from '@renderyard/shared/redis/connect';
import { BEGIN, isEntryId, type LiveEntry, readEntry } from './live-entry.ts';

/** Entries read at once. */
const PAGE = 200;
/** How far is looked back for batches that changed, in milliseconds and entries. */
const LOOK_BACK_MS = 15_000;
const LOOK_BACK_MOST = 1_000;

type RawEntry = [id: string, fields: string[]];

/** Entries that came after one. */
export interface LivePage {
  readonly entries: readonly LiveEntry[];
  /** There may be more. */
  readonly more: boolean;
}

export type LiveHistory = ReturnType<typeof createLiveHistory>;

/** What the stream `live` still has: about the 10,000 latest entries. */
export function createLiveHistory({ redis, prefix }: { readonly redis: Redis; readonly prefix: string }) {
  const stream = `${prefix}live`;
  return {
    /** The id of the newest entry. */
    async newest(): Promise<string> {
      const found = (await redis.xrevrange(stream, '+', '-', 'COUNT', 1)) as RawEntry[];
      return found[0]?.[0] ?? BEGIN;
    },

    /**
     * The entries after a position.
     * @returns undefined where that position is not in the stream: entries behind it may have been dropped, it comes
     * from another Redis, or is none.
     */
    async after(position: string): Promise<LivePage | undefined> {
      if (!isEntryId(position)) return undefined;
      // The entry itself is read as well: it is the proof that nothing behind it was dropped.
      const found = (await redis.xrange(stream, position, '+', 'COUNT', PAGE + 1)) as RawEntry[];
      if (position === BEGIN) return found.length === 0 ? { entries: [], more: false } : undefined;
      if (found[0]?.[0] !== position) return undefined;
      return { entries: found.slice(1).map(readEntry), more: found.length > PAGE };
    },

    /** The latest entries up to a position, the newest first. */
    async justBefore(position: string): Promise<readonly LiveEntry[]> {
      const from = Math.max(Number(position.split('-')[0]) - LOOK_BACK_MS, 0);
      const found = (await redis.xrevrange(stream, position, from, 'COUNT', LOOK_BACK_MOST)) as RawEntry[];
      return found.map(readEntry);
    },
  };
}

/**
 * Whether something that is told came after a position.
 * @returns `lost` where that cannot be known: see {@link LiveHistory.after}.
 */
export async function lookSince(
  history: LiveHistory,
  position: string,
  isTold: (entry: LiveEntry) => boolean,
): Promise<'nothing' | 'something' | 'lost'> {
  for (let from = position; ; ) {
    const page = await history.after(from);
    if (page === undefined) return 'lost';
    if (page.entries.some(isTold)) return 'something';
    if (!page.more) return 'nothing';
    from = page.entries.at(-1)?.id ?? from;
  }
}
