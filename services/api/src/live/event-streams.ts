import type { Clock } from '@renderyard/shared/clock';
import type { Redis } from '@renderyard/shared/redis/connect';
import { createLiveHistory, type LiveHistory } from './live-history.ts';
import type { LiveStream } from './live-stream.ts';
import { createLiveViews, type LiveViews } from './live-views.ts';
import { createStreamPlaces, type StreamPlaces } from './stream-places.ts';

/** Shorter than proxies are known to wait for. */
const HEARTBEAT_MS = 15_000;
const STALL_MS = 10_000;
const PER_ACCOUNT = 100;
const IN_ALL = 1_000;

/** Bounds of streams of events, for tests that cannot wait for those that hold. */
export interface StreamLimits {
  /** Streams that are open at once: 100 of an account, 1,000 in all. */
  readonly perAccount?: number;
  readonly inAll?: number;
  /** Milliseconds between two heartbeats; 15 s. */
  readonly heartbeatMs?: number;
  /** Milliseconds after which a client that takes nothing is given up; 10 s. */
  readonly stallMs?: number;
}

/** What streams of events are made of. */
export interface EventStreams {
  readonly live: LiveStream;
  readonly history: LiveHistory;
  readonly views: LiveViews;
  readonly places: StreamPlaces;
  readonly heartbeatMs: number;
  readonly stallMs: number;
  readonly clock: Clock;
}

export function createEventStreams({
  live,
  redis,
  prefix,
  clock,
  limits = {},
  ...sources
}: Parameters<typeof createLiveViews>[0] & {
  readonly live: LiveStream;
  readonly redis: Redis;
  readonly prefix: string;
  readonly clock: Clock;
  readonly limits?: StreamLimits | undefined;
}): EventStreams {
  const { perAccount = PER_ACCOUNT, inAll = IN_ALL, heartbeatMs = HEARTBEAT_MS, stallMs = STALL_MS } = limits;
  return {
    live,
    history: createLiveHistory({ redis, prefix }),
    views: createLiveViews(sources),
    places: createStreamPlaces({ perAccount, inAll }),
    heartbeatMs,
    stallMs,
    clock,
  };
}
