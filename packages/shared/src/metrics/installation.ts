import type { BatchHoldReason } from '../batch/batch.ts';
import type { Nanocredits } from '../credits/amount.ts';
import type { CreditStateName } from '../credits/credit-state.ts';
import { type HoldName, type HoldReason, holdReason } from '../credits/hold.ts';
import type { Redis } from '../redis/connect.ts';
import { defineScript } from '../redis/script.ts';

/** The statuses of batches that have not ended. */
export const OPEN_BATCH_STATUSES = ['running', 'paused', 'canceling', 'finishing'] as const;
/** Of which processes are told that are there. */
export const SERVICES = ['api', 'worker'] as const;
/** Where a ticket stands in the queue. */
export const TICKET_STATES = ['waiting', 'active', 'delayed'] as const;

/** What the script says. Times are milliseconds since 1970 by Redis's clock; false: there is none, or it is not known. */
interface Told {
  readonly now: number;
  readonly processes: Readonly<Record<(typeof SERVICES)[number], number>>;
  readonly tickets: Readonly<Record<(typeof TICKET_STATES)[number], number>>;
  readonly oldest_ticket: number | false;
  readonly jobs: number;
  readonly oldest_job: number | false;
  readonly batches: Readonly<Record<(typeof OPEN_BATCH_STATUSES)[number], number>>;
  readonly rows: number;
  readonly calls_of_minute: number;
  readonly slots: number;
  readonly balance: string | false;
  readonly read_at: number | false;
  readonly reserved: string | false;
  readonly uncertain: string | false;
  readonly spent: string | false;
  readonly state: CreditStateName;
  readonly floor: string | false;
  readonly low: string | false;
  readonly uncertain_calls: number;
  /** Of a hold its name, of a batch that is paused why. */
  readonly holds:
    | readonly { readonly name?: HoldName; readonly reason?: BatchHoldReason; readonly since: number }[]
    | false;
  readonly deliveries: number;
  readonly oldest_due: number | false;
  readonly outbox: number;
  readonly oldest_event: number | false;
}

/** What an installation is like, at one moment. Ages are in seconds, 0 where nothing waits. */
export interface Installation {
  /** Those that live. */
  readonly processes: Told['processes'];
  readonly tickets: Told['tickets'];
  readonly oldestTicketAge: number;
  /** Single jobs that wait for a call. */
  readonly jobs: number;
  readonly oldestJobAge: number;
  readonly batches: Told['batches'];
  readonly rows: number;
  readonly callsOfMinute: number;
  readonly slots: number;
  readonly balance: Nanocredits | undefined;
  readonly balanceAge: number | undefined;
  readonly reserved: Nanocredits;
  readonly uncertain: Nanocredits;
  readonly spent: Nanocredits;
  readonly state: CreditStateName;
  /** Undefined until a worker has told its settings. */
  readonly floor: Nanocredits | undefined;
  readonly low: Nanocredits | undefined;
  readonly uncertainCalls: number;
  /** Of work, and of each batch that is paused. */
  readonly holds: readonly { readonly reason: HoldReason | BatchHoldReason; readonly age: number }[];
  readonly deliveries: number;
  readonly oldestDueAge: number;
  readonly outbox: number;
  readonly oldestEventAge: number;
}

const script = defineScript<{ readonly generation: string }, Told>(new URL('read-installation.lua', import.meta.url));

/**
 * Reads all of it in one step.
 * @throws {GenerationLostError} when Redis was emptied or replaced: it counts nothing that was before.
 */
export async function readInstallation(redis: Redis, prefix: string, generation: string): Promise<Installation> {
  const told = await script(redis, prefix, { generation });
  const age = (since: number) => Math.max(0, told.now - since) / 1000;
  const ageOr0 = (since: number | false) => (since === false ? 0 : age(since));
  const amount = (text: string | false) => (text === false ? undefined : Number(text));
  return {
    processes: told.processes,
    tickets: told.tickets,
    oldestTicketAge: ageOr0(told.oldest_ticket),
    jobs: told.jobs,
    oldestJobAge: ageOr0(told.oldest_job),
    batches: told.batches,
    rows: told.rows,
    callsOfMinute: told.calls_of_minute,
    slots: told.slots,
    balance: amount(told.balance),
    balanceAge: told.read_at === false ? undefined : age(told.read_at),
    reserved: amount(told.reserved) ?? 0,
    uncertain: amount(told.uncertain) ?? 0,
    spent: amount(told.spent) ?? 0,
    state: told.state,
    floor: amount(told.floor),
    low: amount(told.low),
    uncertainCalls: told.uncertain_calls,
    holds: (told.holds || []).flatMap(({ name, reason = name && holdReason(name), since }) =>
      reason === undefined ? [] : [{ reason, age: age(since) }],
    ),
    deliveries: told.deliveries,
    oldestDueAge: ageOr0(told.oldest_due),
    outbox: told.outbox,
    oldestEventAge: ageOr0(told.oldest_event),
  };
}
