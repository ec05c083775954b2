import type { BatchFiles } from '@renderyard/shared/batch/batch-files';
import type { BatchStates } from '@renderyard/shared/batch/batch-states';
import type { Redis } from '@renderyard/shared/redis/connect';
import type { Store } from '@renderyard/shared/store/store';
import type { CatchUp } from '@renderyard/shared/webhook/catch-up-store';
import { receiverOf } from '@renderyard/shared/webhook/delivery';
import type { Addressee, OutboxEvent } from '@renderyard/shared/webhook/event';
import { type EventType, parseEventsField } from '@renderyard/shared/webhook/event-type';

export interface MissedDependencies {
  readonly redis: Redis;
  readonly prefix: string;
  readonly files: BatchFiles;
  readonly states: BatchStates;
  readonly store: Store;
}

/** Events that were read, and where to go on after them. */
export interface MissedPage {
  readonly events: readonly OutboxEvent[];
  readonly cursor: string;
}

/** Whom of those that `own` and the receiver's subscription name the receiver is. */
export function addresseeFor(
  { receiver, account, events }: CatchUp,
  type: EventType,
  own: { readonly url: string | undefined; readonly types: readonly EventType[] | null },
): Addressee | undefined {
  if (events !== undefined) return hears(parseEventsField(events), type) ? { webhook: receiver } : undefined;
  if (own.url === undefined || !hears(own.types, type)) return undefined;
  const to = { url: own.url };
  return receiverOf(account, to) === receiver ? to : undefined;
}

const hears = (types: readonly EventType[] | null, type: EventType) => types === null || types.includes(type);
/** Whether something happened in the time that is read again. */
export const within = ({ from, until }: CatchUp, at: number | undefined): at is number =>
  at !== undefined && at >= from && at <= until;
