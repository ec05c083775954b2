import type { LiveEntry, Topic } from './live-entry.ts';

/** What is told of a job, a batch or an account. */
export interface Shown {
  /** What the client gets as `data`. */
  readonly data: unknown;
  /** Nothing more will come of it. */
  readonly ended: boolean;
  /** Where it is not the entry's own. */
  readonly type?: string;
}

/** What an entry means to who watches. */
export interface Meaning {
  /** It is told, as an event of its own. */
  readonly isEvent: boolean;
  /** A batch that has changed by it, of which is told now and then. */
  readonly progressOf?: string | undefined;
}

/** What a client watches: a job, a batch or an account. */
export interface Watched {
  readonly topic: Topic;
  /** As it is now. @throws {ProblemError} `not_found`, also where it is another account's. */
  snapshot(): Promise<Shown>;
  meaningOf(entry: LiveEntry): Meaning;
  /**
   * What is told of an entry, as it is now; undefined where there is nothing to tell of.
   * @throws {ProblemError} `not_found` once what is watched is gone.
   */
  event(entry: LiveEntry): Promise<Shown | undefined>;
  /** How far a batch is. @param entry the id of the latest entry that is covered. */
  progress(batch: string, entry: string): Promise<Shown | undefined>;
}

export const NOTHING: Meaning = { isEvent: false };
