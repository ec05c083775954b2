import type { Clock } from '@renderyard/shared/clock';
import { describeError } from '@renderyard/shared/describe-error';
import type { Logger } from '@renderyard/shared/logger';
import type { Redis } from '@renderyard/shared/redis/connect';
import { GenerationLostError } from '@renderyard/shared/redis/script';
import { receiverOf } from '@renderyard/shared/webhook/delivery';
import { type OutboxEvent, parseEvent } from '@renderyard/shared/webhook/event';
import type { WebhookStore } from '@renderyard/shared/webhook/webhook-store';
import { deliveriesOf } from './deliveries-of.ts';

/** The group that reads the outbox; make-deliveries.lua knows its name. */
const GROUP = 'relay';
/** Events read at once, and how long a read waits for the first, in milliseconds. */
const MOST_EVENTS = 50;
const BLOCK_MS = 2000;
/** The place before all events. */
const FIRST = '0-0';
/** Events that a relay has read and not finished for so long, in milliseconds, are taken over by whoever looks. */
const STRANDED_MS = 5000;
/** Names of relays that have nothing to do and were not heard of for so long, in milliseconds, are forgotten. */
const GONE_MS = 3_600_000;
/** After an error, in milliseconds. */
const AFTER_ERROR_MS = 1000;

type Entry = readonly [id: string, fields: readonly string[]];

export interface RelayDependencies {
  readonly redis: Redis;
  /** Makes a connection for reads that wait, which is the relay's own. In a cluster it must find the node that has the outbox. */
  readonly connect: () => Redis;
  readonly prefix: string;
  /** Names this process in the group. */
  readonly worker: string;
  readonly webhooks: Pick<WebhookStore, 'make' | 'requestCatchUp'>;
  /** The text of an event, as it is sent. */
  readonly compose: (event: OutboxEvent) => Promise<string>;
  /** Before the first attempt, in milliseconds. */
  readonly firstWaitMs: number;
  /** Told after deliveries were made. */
  readonly onMade: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told when Redis was found to be another. */
  readonly onError: (error: unknown) => Promise<void>;
}

/**
 * Makes deliveries of the events in the outbox. An event leaves it in the step that makes its deliveries; one whose relay
 * died is read again by another, and makes the same.
 */
export function createRelay(deps: RelayDependencies) {
  const { redis, worker, webhooks, logger } = deps;
  const outbox = `${deps.prefix}outbox`;
  const stopped = new AbortController();
  const reader = deps.connect();
  let running: Promise<void> | undefined;
  let lookedAt = 0;
  let lookFrom = FIRST;

  async function makeGroup(): Promise<void> {
    await reader.xgroup('CREATE', outbox, GROUP, '0', 'MKSTREAM').catch((error: unknown) => {
      if (!String(error).includes('BUSYGROUP')) throw error;
    });
  }

  async function relay([entry, fields]: Entry): Promise<void> {
    const event = parseEvent(fields);
    if (event === undefined) {
      logger.error({ entry }, 'an entry of the outbox is no event and is left out');
      await webhooks.make([], { entry });
      return;
    }
    try {
      if (event.rows) {
        const receivers = event.to.map((to) => receiverOf(event.account, to));
        for (const receiver of receivers) await webhooks.requestCatchUp(receiver, event.account, event.at);
        await webhooks.make([], { entry });
        return;
      }
      const body = await deps.compose(event);
      const { full } = await webhooks.make(deliveriesOf(event, body), { entry, waitMs: deps.firstWaitMs });
      if (full > 0)
        logger.warn(
          { event: event.id, type: event.type, account: event.account },
          'a webhook has too much waiting, or is disabled; what it misses is read again later',
        );
    } catch (error) {
      // It stays in the outbox, and is read again.
      if (error instanceof GenerationLostError) throw error;
      logger.warn(
        { err: describeError(error), event: event.id },
        'an event cannot be delivered yet and is tried again',
      );
    }
  }

  /** Events that a relay read and did not finish: its process died, or the store was away. */
  async function takeStranded(): Promise<readonly Entry[]> {
    const now = deps.clock.now();
    if (lookFrom === FIRST && now - lookedAt < STRANDED_MS) return [];
    // A look goes through all of them, a few at a time, so that some which fail again and again hold up no others.
    if (lookFrom === FIRST) {
      lookedAt = now;
      await forgetGone();
    }
    const [next, entries] = (await redis.xautoclaim(
      ...([outbox, GROUP, worker, STRANDED_MS, lookFrom, 'COUNT', MOST_EVENTS] as const),
    )) as [string, readonly (Entry | null)[]];
    lookFrom = next;
    return entries.filter((entry) => entry !== null);
  }

  async function forgetGone(): Promise<void> {
    const consumers = (await redis.xinfo('CONSUMERS', outbox, GROUP)) as readonly (readonly unknown[])[];
    for (const flat of consumers) {
      const about = new Map<unknown, unknown>();
      for (let i = 0; i + 1 < flat.length; i += 2) about.set(flat[i], flat[i + 1]);
      if (about.get('pending') === 0 && Number(about.get('idle')) > GONE_MS)
        await redis.xgroup('DELCONSUMER', outbox, GROUP, String(about.get('name')));
    }
  }

  async function readNew(blockMs: number): Promise<readonly Entry[]> {
    const found = (await reader.xreadgroup(
      ...(['GROUP', GROUP, worker, 'COUNT', MOST_EVENTS, 'BLOCK', blockMs, 'STREAMS', outbox, '>'] as const),
    )) as readonly (readonly [string, readonly Entry[]])[] | null;
    return found?.[0]?.[1] ?? [];
  }

  async function read(): Promise<readonly Entry[]> {
    const stranded = await takeStranded();
    // 0 would be forever.
    return [...stranded, ...(await readNew(stranded.length > 0 || lookFrom !== FIRST ? 1 : BLOCK_MS))];
  }

  async function loop(): Promise<void> {
    await makeGroup().catch(() => undefined);
    while (!stopped.signal.aborted) {
      try {
        const entries = await read();
        if (entries.length === 0) continue;
        await Promise.all(entries.map(relay));
        deps.onMade();
      } catch (error) {
        if (stopped.signal.aborted) return;
        // An emptied Redis, or a new one, has no group yet; a read that waited there was broken off.
        if (/NOGROUP|UNBLOCKED|no such key/.test(String(error))) await makeGroup().catch(() => undefined);
        else await deps.onError(error).catch(() => undefined);
        await deps.clock.sleep(AFTER_ERROR_MS, stopped.signal);
      }
    }
  }

  return {
    start() {
      running = loop();
    },
    /** Events that were read and are not finished are another relay's. */
    async stop(): Promise<void> {
      stopped.abort();
      reader.disconnect();
      await running;
    },
  };
}
