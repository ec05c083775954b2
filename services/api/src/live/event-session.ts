import type { Clock } from '@renderyard/shared/clock';
import { ProblemError } from '../errors/problem-error.ts';
import { toProblem } from '../errors/to-problem.ts';
import { createEntryFeed } from './entry-feed.ts';
import { eventText, heartbeatText, retryText } from './event-text.ts';
import type { LiveEntry } from './live-entry.ts';
import type { LiveHistory } from './live-history.ts';
import type { LiveStream } from './live-stream.ts';
import { createProgressPace } from './progress-pace.ts';
import type { Shown, Watched } from './watched.ts';

/** How long a client waits before it connects again. */
const RETRY_MS = 2_000;
/** How often a client is told how far a batch is. */
const PROGRESS_MS = 500;
/** What could not be read because Redis or the store is away is read again after this. */
const READ_AGAIN_MS = 500;

/** How a stream begins. */
export type Begin =
  | { readonly with: 'snapshot' | 'reset' }
  /** Goes on behind a position; `ended`: what is watched has ended, so that the stream ends with what came since. */
  | { readonly with: 'resume'; readonly from: string; readonly ended: boolean };

interface Piece {
  readonly text: string;
  /** It is the last one. */
  readonly last: boolean;
}

/**
 * What is sent to one client, piece by piece, until what it watches has ended or is gone, the client is gone, or the
 * server stops. While Redis or the store is away nothing but heartbeats is sent.
 * @throws {ProblemError} before the first piece. Later only what is a fault of the server.
 */
export async function* eventSession(
  {
    live,
    history,
    clock,
    heartbeatMs,
  }: {
    readonly live: LiveStream;
    readonly history: LiveHistory;
    readonly clock: Clock;
    readonly heartbeatMs: number;
  },
  watched: Watched,
  { begin, gone }: { readonly begin: Begin; readonly gone: AbortSignal },
): AsyncGenerator<string> {
  const feed = createEntryFeed({ live, history }, watched.topic);
  const pace = createProgressPace({ everyMs: PROGRESS_MS });
  let snapshotAs = begin.with === 'resume' ? undefined : begin.with;
  const endsWithEntries = begin.with === 'resume' && begin.ended;

  const textOf = (event: string, id: string, at: number, data: unknown) =>
    eventText({ event, id, data: JSON.stringify({ type: event, timestamp: new Date(at).toISOString(), data }) });

  async function snapshot(event: 'snapshot' | 'reset'): Promise<Piece> {
    const position = await feed.restart();
    pace.clear();
    const { data, ended } = await watched.snapshot();
    snapshotAs = undefined;
    return { text: textOf(event, position, clock.now(), data), last: ended };
  }

  /** What is told of an entry, and what else it covers. */
  async function tell(entry: LiveEntry): Promise<Piece | undefined> {
    const { isEvent, progressOf } = watched.meaningOf(entry);
    const shown: Shown | undefined = isEvent ? await watched.event(entry) : undefined;
    feed.drop(entry);
    if (progressOf !== undefined) pace.note(progressOf, entry, clock.now());
    // It shows the batch as it is.
    else if (isEvent && entry.batch !== undefined) pace.told(entry.batch, clock.now());
    return shown && { text: textOf(shown.type ?? entry.type, entry.id, entry.at, shown.data), last: shown.ended };
  }

  async function tellProgress(): Promise<Piece | undefined> {
    const digest = pace.next(clock.now());
    if (digest === undefined) return undefined;
    const shown = await watched.progress(digest.batch, digest.entry);
    pace.told(digest.batch, clock.now());
    return shown && { text: textOf('batch.progress', feed.position, digest.at, shown.data), last: shown.ended };
  }

  /** The next piece; undefined while there is none. */
  async function next(): Promise<Piece | undefined> {
    for (;;) {
      if (feed.hasGap && snapshotAs === undefined) snapshotAs = 'reset';
      if (snapshotAs !== undefined) return snapshot(snapshotAs);
      const entry = await feed.first();
      if (feed.hasGap) continue;
      const progress = await tellProgress();
      if (progress !== undefined) return progress;
      if (entry === 'lost') snapshotAs = 'reset';
      // The position goes along, so that the next to connect at it is told that there is no more.
      else if (entry === 'none')
        return endsWithEntries ? { text: heartbeatText(feed.position), last: true } : undefined;
      else {
        const piece = await tell(entry);
        if (piece !== undefined) return piece;
      }
    }
  }

  /** The same, or that it has to be tried again, or that what is watched is gone. */
  async function nextOrLater(): Promise<Piece | 'later' | undefined> {
    try {
      return await next();
    } catch (error) {
      if (error instanceof ProblemError && error.code === 'not_found') return { text: '', last: true };
      if (toProblem(error).statusCode !== 503) throw error;
      return 'later';
    }
  }

  const wake = () => feed.ring();
  gone.addEventListener('abort', wake);
  try {
    let piece: Piece | 'later' | undefined;
    if (begin.with === 'resume') {
      for (const entry of (await history.justBefore(begin.from)).toReversed()) {
        // It may have been on its way when the client lost its connection.
        const { progressOf } = watched.meaningOf(entry);
        if (progressOf !== undefined) pace.note(progressOf, entry, clock.now());
      }
      feed.resume(begin.from);
      piece = { text: '', last: false };
    } else piece = await snapshot(begin.with);
    yield `${retryText(RETRY_MS)}${piece.text}`;

    let beatAt = clock.now() + heartbeatMs;
    for (let last = piece.last; !last; ) {
      piece = await nextOrLater();
      if (gone.aborted || live.closed) return;
      if (typeof piece === 'object') {
        if (piece.text !== '') yield piece.text;
        beatAt = clock.now() + heartbeatMs;
        last = piece.last;
      } else if (clock.now() >= beatAt) {
        yield heartbeatText(piece === undefined && pace.isEmpty ? feed.position : undefined);
        beatAt = clock.now() + heartbeatMs;
      } else {
        const now = clock.now();
        if (piece === 'later') await clock.sleep(READ_AGAIN_MS, gone);
        else await feed.rung(Math.min(beatAt - now, pace.wait(now)));
      }
    }
  } finally {
    gone.removeEventListener('abort', wake);
    feed.close();
  }
}
