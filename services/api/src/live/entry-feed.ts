import { createInbox } from './inbox.ts';
import { BEGIN, isAfter, isOf, type LiveEntry, type Topic } from './live-entry.ts';
import type { LiveHistory } from './live-history.ts';
import type { LiveStream } from './live-stream.ts';

export type EntryFeed = ReturnType<typeof createEntryFeed>;

/**
 * The entries of one topic from a position on, in order, each once: from what the stream still has, and then as they are
 * written. A client that is too slow for them is given them from the stream again. Must be closed.
 */
export function createEntryFeed(
  { live, history }: { readonly live: LiveStream; readonly history: LiveHistory },
  topic: Topic,
) {
  const inbox = createInbox(live, topic);
  /** Every entry up to here was dropped by {@link feed.drop}, or is none of the topic. */
  let position = BEGIN;
  /** Entries from the stream, and where their page ends. */
  let page: LiveEntry[] = [];
  let pageEnd = BEGIN;
  let catchingUp = false;

  /** @returns false when entries behind the position are gone. */
  async function readPage(): Promise<boolean> {
    const wasOpen = inbox.isOpen;
    const found = await history.after(position);
    if (found === undefined) return false;
    pageEnd = found.entries.at(-1)?.id ?? position;
    page = found.entries.filter((entry) => isOf(topic, entry));
    if (page.length === 0) position = pageEnd;
    if (found.more) return true;
    // From an open inbox on, nothing is missed: what was written before it was opened is read once more.
    if (wasOpen) catchingUp = false;
    else inbox.open();
    return true;
  }

  const feed = {
    get position() {
      return position;
    },
    /** Whether entries were missed that cannot be read any more. */
    get hasGap() {
      return inbox.hasGap;
    },
    /** Goes on with the entries behind `from`, out of the stream. */
    resume(from: string): void {
      inbox.close();
      position = from;
      page = [];
      catchingUp = true;
    },
    /** Goes on with what is written from now on. @returns the position. */
    async restart(): Promise<string> {
      inbox.open();
      page = [];
      catchingUp = false;
      position = await history.newest();
      return position;
    },
    /** The next entry; `none` while there is none, `lost` when entries behind the position are gone. */
    async first(): Promise<LiveEntry | 'none' | 'lost'> {
      if (page[0] !== undefined) return page[0];
      if (!inbox.isOpen) catchingUp = true;
      while (catchingUp) {
        if (!(await readPage())) return 'lost';
        if (page[0] !== undefined) return page[0];
      }
      while (inbox.first !== undefined && !isAfter(inbox.first.id, position)) inbox.dropFirst();
      if (inbox.first !== undefined) return inbox.first;
      // Nothing waits, so that whatever was told up to here was none of ours.
      if (inbox.isOpen && isAfter(live.position, position)) position = live.position;
      return 'none';
    },
    /** The first entry was dealt with. */
    drop({ id }: LiveEntry): void {
      if (page[0]?.id === id) {
        page.shift();
        position = page.length === 0 ? pageEnd : id;
        return;
      }
      if (inbox.first?.id === id) inbox.dropFirst();
      position = id;
    },
    ring: () => inbox.ring(),
    /** Resolves when something came in since the last call, or after `ms`. */
    rung: (ms: number) => inbox.rung(ms),
    close: () => inbox.close(),
  };
  return feed;
}
