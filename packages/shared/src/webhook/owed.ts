import type { Redis } from '../redis/connect.ts';
import { receiverOf } from './delivery.ts';
import { parseEvent } from './event.ts';

/** Entries of the outbox that are looked at: mostly there are none. */
const MOST_EVENTS = 500;

/** Who is owed something, since when. Times are milliseconds since 1970, by Redis's clock. */
export interface Owed {
  /** What happened before is among what is owed, or was delivered. */
  readonly at: number;
  /** How many events were ever told. */
  readonly told: number;
  readonly receivers: Readonly<Record<string, { readonly account: string; readonly since: number }>>;
}

/**
 * Those for whom a delivery waits, for whom an event lies in the outbox, and who are to catch up on something.
 * @throws what Redis throws.
 */
export async function readOwed({ redis, prefix }: { readonly redis: Redis; readonly prefix: string }): Promise<Owed> {
  const receivers: Record<string, { account: string; since: number }> = {};
  const owe = (receiver: string, account: string | null | undefined, since: number) => {
    if (account === null || account === undefined) return;
    receivers[receiver] = { account, since: Math.min(receivers[receiver]?.since ?? since, since) };
  };
  // What is in the outbox becomes something to read again, or deliveries, and the former the latter: read in this order,
  // nothing slips through.
  const [told, [seconds = 0], outbox] = await Promise.all([
    redis.get(`${prefix}told`),
    redis.time(),
    redis.xrange(`${prefix}outbox`, '-', '+', 'COUNT', MOST_EVENTS),
  ]);
  for (const [, fields] of outbox) {
    const event = parseEvent(fields);
    for (const to of event?.to ?? [])
      if (event !== undefined) owe(receiverOf(event.account, to), event.account, event.at);
  }
  for (const receiver of await redis.smembers(`${prefix}missed`)) {
    const [account, next] = await redis.hmget(`${prefix}hook:${receiver}`, 'account', 'catch_up');
    for (const from of [next, await redis.hget(`${prefix}catch-up:${receiver}`, 'from')])
      if (from !== null && from !== undefined) owe(receiver, account, Number(from));
  }
  const waiting = await redis.zrange(`${prefix}owed`, '0', '-1', 'WITHSCORES');
  for (let i = 0; i + 1 < waiting.length; i += 2) {
    const receiver = String(waiting[i]);
    owe(receiver, await redis.hget(`${prefix}hook:${receiver}`, 'account'), Number(waiting[i + 1]));
  }
  // Lower where Redis was emptied while this was read.
  const toldAfter = await redis.get(`${prefix}told`);
  const oldest = Number(outbox[0]?.[0].split('-')[0] ?? Infinity);
  return {
    at: Math.min(seconds * 1000, oldest),
    told: Math.min(Number(told ?? 0), Number(toldAfter ?? 0)),
    receivers,
  };
}
