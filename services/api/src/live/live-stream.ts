import type { Clock } from '@renderyard/shared/clock';
import type { Logger } from '@renderyard/shared/logger';
import type { Redis } from '@renderyard/shared/redis/connect';
import { ALL_ACCOUNTS, type LiveEntry, type Topic, topicsOf } from './live-entry.ts';
import { createLiveReader, type Word } from './live-reader.ts';

export interface Listener {
  entry(entry: LiveEntry): void;
  word(word: Word): void;
}

export type LiveStream = ReturnType<typeof createLiveStream>;

/**
 * Hears what happens, over one connection for the whole process, and tells each listener what belongs to its topic.
 * Must be closed.
 */
export function createLiveStream(deps: {
  readonly connect: () => Redis;
  readonly prefix: string;
  readonly clock: Clock;
  readonly logger: Logger;
}) {
  const listeners = new Map<Topic, Set<Listener>>();

  function tell(entry: LiveEntry): void {
    const topics = topicsOf(entry);
    for (const topic of topics) for (const listener of listeners.get(topic) ?? []) listener.entry(entry);
    if (!topics.includes(ALL_ACCOUNTS)) return;
    for (const [topic, each] of listeners)
      if (topic.startsWith('account:')) for (const listener of each) listener.entry(entry);
  }

  const reader = createLiveReader({
    ...deps,
    onEntries: (entries) => {
      for (const entry of entries) tell(entry);
    },
    onWord: (word) => {
      for (const each of listeners.values()) for (const listener of each) listener.word(word);
    },
  });

  return {
    /** Resolves once every entry that is written from then on will be heard. */
    begun: reader.begun,
    /** Every entry up to this one was told. */
    get position() {
      return reader.position;
    },
    get closed() {
      return reader.closed;
    },
    /** What is written after this call is told, or that it was missed. @returns ends it. */
    listen(topic: Topic, listener: Listener): () => void {
      const all = listeners.get(topic) ?? new Set();
      listeners.set(topic, all.add(listener));
      return () => {
        all.delete(listener);
        if (all.size === 0 && listeners.get(topic) === all) listeners.delete(topic);
      };
    },
    /** Nothing more is heard, and all who listen are told. */
    close: () => reader.close(),
  };
}
