import { createHash } from 'node:crypto';
import { idOf } from '../ids.ts';
import { type Origin, readOrigin } from '../origin.ts';
import type { Addressee } from './event.ts';
import type { DeliveredType } from './event-type.ts';

/** The states of a delivery. One that has failed was tried as often as the schedule says, or its receiver is gone. */
export const DELIVERY_STATUSES = ['pending', 'succeeded', 'failed'] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

/** Why no answer came, for people: it tells nothing about what is where. */
export const ATTEMPT_ERRORS = ['unreachable', 'timeout', 'tls_failed', 'bad_answer', 'secret_unreadable'] as const;
export type AttemptError = (typeof ATTEMPT_ERRORS)[number];

/** One attempt to deliver. */
export interface AttemptRecord {
  /** When it began, in milliseconds since 1970; and how long it took. */
  readonly at: number;
  readonly ms: number;
  /** Of the answer; left out where none came. */
  readonly status?: number;
  readonly error?: AttemptError;
  /** How the answer began, cleaned. */
  readonly answer?: string;
}

/** One event for one receiver. Times are milliseconds since 1970. */
export interface Delivery {
  readonly id: string;
  readonly event: string;
  readonly type: DeliveredType;
  readonly account: string;
  readonly receiver: string;
  /** Of the own webhook of a job or batch; an endpoint's is its own. */
  readonly url: string | undefined;
  readonly jobId: string | undefined;
  readonly batchId: string | undefined;
  /** Of the job or batch, for the log alone. */
  readonly origin?: Origin | undefined;
  readonly status: DeliveryStatus;
  /** When the event happened. */
  readonly at: number;
  readonly createdAt: number;
  /** The latest attempts, oldest first, at most 20. */
  readonly attempts: readonly AttemptRecord[];
  /** Attempts since it was made or sent again by hand: where it is in the schedule. */
  readonly tries: number;
  /** When the next attempt is due; undefined while one is on its way, and once there is none. */
  readonly nextAt: number | undefined;
  /** What is sent, byte for byte. */
  readonly body: string;
}

/** A delivery that is to be made. */
export type NewDelivery = Pick<
  Delivery,
  'id' | 'event' | 'type' | 'account' | 'receiver' | 'url' | 'jobId' | 'batchId' | 'origin' | 'at' | 'body'
>;

/**
 * Whom a delivery is for. The own webhooks of an account's jobs and batches at one origin are one receiver, whatever the
 * rest of their URLs: it is one server.
 */
export function receiverOf(account: string, to: Addressee): string {
  if ('webhook' in to) return to.webhook;
  const hash = createHash('sha256')
    .update(`${account}\n${new URL(to.url).origin}`)
    .digest('hex');
  return `url_${hash.slice(0, 26)}`;
}

/** The id of a delivery: the same for the same event and receiver, and later ones sort later. */
export function deliveryId(
  event: { readonly id: string; readonly at: number },
  to: Addressee,
  account: string,
): string {
  const target = 'webhook' in to ? to.webhook : `${receiverOf(account, to)} ${to.url}`;
  const hash = createHash('sha256').update(`${event.id}\n${target}`).digest();
  return idOf('dlv', event.at, hash);
}

/** A delivery from its Redis hash; undefined where there is none. */
export function readDelivery(hash: Readonly<Record<string, string>>): Delivery | undefined {
  if (hash.id === undefined) return undefined;
  return {
    id: hash.id,
    event: hash.event ?? '',
    type: hash.type as DeliveredType,
    account: hash.account ?? '',
    receiver: hash.receiver ?? '',
    url: hash.url,
    jobId: hash.job_id,
    batchId: hash.batch_id,
    origin: readOrigin(hash),
    status: hash.status as DeliveryStatus,
    at: Number(hash.at),
    createdAt: Number(hash.created_at),
    attempts: JSON.parse(hash.attempts ?? '[]') as readonly AttemptRecord[],
    tries: Number(hash.tries),
    nextAt: hash.next_at === undefined ? undefined : Number(hash.next_at),
    body: hash.body ?? '',
  };
}
