import { BATCH_HOLD_REASONS } from '../batch/batch.ts';
import { toCredits } from '../credits/amount.ts';
import { HOLD_REASONS } from '../credits/hold.ts';
import { type Installation, OPEN_BATCH_STATUSES, SERVICES, TICKET_STATES } from './installation.ts';
import type { LabelValues } from './labels.ts';
import type { GaugeOf, Metrics } from './metrics.ts';

const REASONS = [...HOLD_REASONS, ...BATCH_HOLD_REASONS] as const;
const CREDIT_STATES = ['open', 'low', 'draining', 'held'] as const;
/** In nanocredits. */
export interface CreditLimitsSet {
  readonly floor: number;
  readonly low: number;
}

/** A family of one number: what it tells, and where that is found; undefined: it is not known, and not told. */
interface Plain {
  readonly name: `renderyard_${string}`;
  readonly help: string;
  readonly of: (now: Installation, own: CreditLimitsSet) => number | undefined;
}

const PLAIN: readonly Plain[] = [
  {
    name: 'renderyard_oldest_ticket_age_seconds',
    help: 'Age of the oldest ticket that no call was made for, in seconds.',
    of: (now) => now.oldestTicketAge,
  },
  {
    name: 'renderyard_jobs_waiting',
    help: 'Single jobs that wait for a call, held ones too.',
    of: (now) => now.jobs,
  },
  {
    name: 'renderyard_oldest_waiting_job_age_seconds',
    help: 'Age of the oldest single job that waits for a call, in seconds.',
    of: (now) => now.oldestJobAge,
  },
  {
    name: 'renderyard_queue_age_seconds',
    help: 'How long the oldest ticket or single job has waited for a call, in seconds.',
    of: (now) => Math.max(now.oldestTicketAge, now.oldestJobAge),
  },
  {
    name: 'renderyard_rows_waiting',
    help: 'Rows of running and paused batches that wait for a call.',
    of: (now) => now.rows,
  },
  {
    name: 'renderyard_rate_used_calls',
    help: 'Calls that began in the last 60 seconds, of all workers.',
    of: (now) => now.callsOfMinute,
  },
  { name: 'renderyard_slots_used', help: 'Calls in flight, of all workers.', of: (now) => now.slots },
  {
    name: 'renderyard_credits_balance',
    help: 'Credits on the account, as they were read last.',
    of: (now) => (now.balance === undefined ? undefined : toCredits(now.balance)),
  },
  {
    name: 'renderyard_credits_balance_age_seconds',
    help: 'How long ago the balance was read, in seconds.',
    of: (now) => (now.balance === undefined ? undefined : now.balanceAge),
  },
  {
    name: 'renderyard_credits_floor',
    help: 'Credits that are never spent.',
    of: (now, own) => toCredits(now.floor ?? own.floor),
  },
  {
    name: 'renderyard_credits_low',
    help: 'Credits below which the state is low.',
    of: (now, own) => toCredits(now.low ?? own.low),
  },
  {
    name: 'renderyard_credits_reserved',
    help: 'Credits reserved for calls in flight.',
    of: (now) => toCredits(now.reserved),
  },
  {
    name: 'renderyard_credits_uncertain',
    help: 'Credits of calls whose outcome is unknown, and which the balance may not show yet.',
    of: (now) => toCredits(now.uncertain),
  },
  {
    name: 'renderyard_uncertain_calls',
    help: 'Calls whose outcome is unknown, as GET /v1/credits lists them.',
    of: (now) => now.uncertainCalls,
  },
  {
    name: 'renderyard_credits_spent',
    help: 'Credits spent since these books began; begins anew with an emptied store and Redis.',
    of: (now) => toCredits(now.spent),
  },
  {
    name: 'renderyard_deliveries_waiting',
    help: 'Deliveries of webhooks that have not ended: due, to be tried again, or on their way.',
    of: (now) => now.deliveries,
  },
  {
    name: 'renderyard_oldest_due_delivery_age_seconds',
    help: 'How long the oldest delivery is due, to receivers that do not fail, in seconds.',
    of: (now) => now.oldestDueAge,
  },
  {
    name: 'renderyard_outbox_events',
    help: 'Events of which no deliveries were made yet.',
    of: (now) => now.outbox,
  },
  {
    name: 'renderyard_oldest_outbox_event_age_seconds',
    help: 'Age of the oldest event of which no deliveries were made yet, in seconds.',
    of: (now) => now.oldestEventAge,
  },
];

/** The families that are read from Redis: they are there once they were set, and gone when they are cleared. */
export function createInstallationFamilies(metrics: Metrics) {
  const all: { clear(): void }[] = [];
  function gauge<L extends string>(name: `renderyard_${string}`, help: string, labels: LabelValues<L>): GaugeOf<L> {
    const made = metrics.gauge({ name, help, labels });
    all.push(made);
    return made;
  }
  const plain = PLAIN.map(({ name, help, of }) => ({ gauge: gauge<never>(name, help, {}), of }));
  const processes = gauge('renderyard_processes', 'Processes that live.', { service: new Set(SERVICES) });
  const tickets = gauge('renderyard_tickets', 'Tickets in the queue.', { state: new Set(TICKET_STATES) });
  const batches = gauge('renderyard_batches', 'Batches that have not ended.', { status: new Set(OPEN_BATCH_STATUSES) });
  const state = gauge('renderyard_credits_state', 'Whether this is the state of credits: 1 or 0.', {
    state: new Set(CREDIT_STATES),
  });
  const byReason = { reason: new Set<string>(REASONS) };
  const holds = gauge('renderyard_holds', 'Holds that stand, and batches that are paused.', byReason);
  const holdAge = gauge(
    'renderyard_hold_age_seconds',
    'How long the oldest hold of the reason has stood, in seconds.',
    byReason,
  );

  return {
    clear() {
      for (const each of all) each.clear();
    },
    /** @param own the limits of this process's settings, which hold until a worker has told its own. */
    set(now: Installation, own: CreditLimitsSet) {
      for (const each of plain) {
        const value = each.of(now, own);
        if (value === undefined) each.gauge.clear();
        else each.gauge.set({}, value);
      }
      for (const service of SERVICES) processes.set({ service }, now.processes[service]);
      for (const name of TICKET_STATES) tickets.set({ state: name }, now.tickets[name]);
      for (const status of OPEN_BATCH_STATUSES) batches.set({ status }, now.batches[status]);
      for (const name of CREDIT_STATES) state.set({ state: name }, name === now.state ? 1 : 0);
      holdAge.clear();
      holds.clear();
      for (const reason of REASONS) holds.set({ reason }, 0);
      for (const [reason, ages] of Map.groupBy(now.holds, (hold) => hold.reason)) {
        holds.set({ reason }, ages.length);
        holdAge.set({ reason }, Math.max(...ages.map(({ age }) => age)));
      }
    },
  };
}
