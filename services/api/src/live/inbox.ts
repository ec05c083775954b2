import type { LiveEntry, Topic } from './live-entry.ts';
import type { LiveStream } from './live-stream.ts';

/** Entries that wait for one client; beyond it they are read from Redis again, at its pace. */
const MOST_WAITING = 200;

export type Inbox = ReturnType<typeof createInbox>;

/** Entries of one topic that wait to be sent to one client. Must be closed. */
export function createInbox(live: Pick<LiveStream, 'listen'>, topic: Topic) {
  let waiting: LiveEntry[] = [];
  let stop: (() => void) | undefined;
  let gap = false;
  let rung = false;
  let answer: (() => void) | undefined;

  const ring = () => {
    rung = true;
    answer?.();
  };
  const close = () => {
    stop?.();
    stop = undefined;
    waiting = [];
  };

  return {
    /** Entries that are written from now on come in; what waits is thrown away, and no gap is known of. */
    open(): void {
      close();
      gap = false;
      stop = live.listen(topic, {
        entry: (entry) => {
          if (waiting.length < MOST_WAITING) waiting.push(entry);
          else close();
          ring();
        },
        word: (word) => {
          if (word === 'gap') gap = true;
          ring();
        },
      });
    },
    /** False as well after more came in than may wait. */
    get isOpen() {
      return stop !== undefined;
    },
    get hasGap() {
      return gap;
    },
    get first(): LiveEntry | undefined {
      return waiting[0];
    },
    dropFirst(): void {
      waiting.shift();
    },
    /** Wakes who waits: for what else he waits for. */
    ring,
    /** Resolves when something came in since the last call, or after `ms`. */
    async rung(ms: number): Promise<void> {
      if (!rung) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, Math.max(ms, 0));
          answer = () => {
            clearTimeout(timer);
            resolve();
          };
        });
        answer = undefined;
      }
      rung = false;
    },
    close,
  };
}
