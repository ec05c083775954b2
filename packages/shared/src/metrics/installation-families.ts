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

/** The families that are read from Redis: they are there once they were set, and gone when they are cleared. */
export function createInstallationFamilies(metrics: Metrics) {
  const all: { clear(): void }[] = [];
  function gauge<L extends string>(name: `renderyard_${string}`, help: string, labels: LabelValues<L>): GaugeOf<L> {
    const made = metrics.gauge({ name, help, labels });
    all.push(made);
    return made;
  }
  const plain = (name: `renderyard_${string}`, help: string) => gauge<never>(name, help, {});
  const seconds = (name: `renderyard_${string}_seconds`, help: string) => plain(name, `${help}, in seconds.`);

  const processes = gauge('renderyard_processes', 'Processes that live.', { service: new Set(SERVICES) });
  const tickets = gauge('renderyard_tickets', 'Tickets in the queue.', { state: new Set(TICKET_STATES) });
  const ticketAge = seconds(
    'renderyard_oldest_ticket_age_seconds',
    'Age of the oldest ticket that no call was made for',
  );
  const jobs = plain('renderyard_jobs_waiting', 'Single jobs that wait for a call, held ones too.');
  const jobAge = seconds(
    'renderyard_oldest_waiting_job_age_seconds',
    'Age of the oldest single job that waits for a call',
  );
  const queueAge = seconds(
    'renderyard_queue_age_seconds',
    'How long the oldest ticket or single job has waited for a call',
  );
  const rows = plain('renderyard_rows_waiting', 'Rows of running and paused batches that wait for a call.');
  const batches = gauge('renderyard_batches', 'Batches that have not ended.', { status: new Set(OPEN_BATCH_STATUSES) });
  const rate = plain('renderyard_rate_used_calls', 'Calls that began in the last 60 seconds, of all workers.');
  const slots = plain('renderyard_slots_used', 'Calls in flight, of all workers.');
  const balance = plain('renderyard_credits_balance', 'Credits on the account, as they were read last.');
  const balanceAge = seconds('renderyard_credits_balance_age_seconds', 'How long ago the balance was read');
  const floor = plain('renderyard_credits_floor', 'Credits that are never spent.');
  const low = plain('renderyard_credits_low', 'Credits below which the state is low.');
  const reserved = plain('renderyard_credits_reserved', 'Credits reserved for calls in flight.');
  const uncertain = plain(
    'renderyard_credits_uncertain',
    'Credits of calls whose outcome is unknown, and which the balance may not show yet.',
  );
  const uncertainCalls = plain(
    'renderyard_uncertain_calls',
    'Calls whose outcome is unknown, as GET /v1/credits lists them.',
  );
  const spent = plain(
    'renderyard_credits_spent',
    'Credits spent since these books began; begins anew with an emptied store and Redis.',
  );
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
  const deliveries = plain(
    'renderyard_deliveries_waiting',
    'Deliveries of webhooks that have not ended: due, to be tried again, or on their way.',
  );
  const dueAge = seconds(
    'renderyard_oldest_due_delivery_age_seconds',
    'How long the oldest delivery is due, to receivers that do not fail',
  );
  const outbox = plain('renderyard_outbox_events', 'Events of which no deliveries were made yet.');
  const eventAge = seconds(
    'renderyard_oldest_outbox_event_age_seconds',
    'Age of the oldest event of which no deliveries were made yet',
  );

  return {
    clear() {
      for (const each of all) each.clear();
    },
    /** @param own the limits of this process's settings, which hold until a worker has told its own. */
    set(now: Installation, own: CreditLimitsSet) {
      for (const service of SERVICES) processes.set({ service }, now.processes[service]);
      for (const name of TICKET_STATES) tickets.set({ state: name }, now.tickets[name]);
      ticketAge.set({}, now.oldestTicketAge);
      jobs.set({}, now.jobs);
      jobAge.set({}, now.oldestJobAge);
      queueAge.set({}, Math.max(now.oldestTicketAge, now.oldestJobAge));
      rows.set({}, now.rows);
      for (const status of OPEN_BATCH_STATUSES) batches.set({ status }, now.batches[status]);
      rate.set({}, now.callsOfMinute);
      slots.set({}, now.slots);
      setOrClear(balance, now.balance === undefined ? undefined : toCredits(now.balance));
      setOrClear(balanceAge, now.balance === undefined ? undefined : now.balanceAge);
      floor.set({}, toCredits(now.floor ?? own.floor));
      low.set({}, toCredits(now.low ?? own.low));
      reserved.set({}, toCredits(now.reserved));
      uncertain.set({}, toCredits(now.uncertain));
      uncertainCalls.set({}, now.uncertainCalls);
      spent.set({}, toCredits(now.spent));
      for (const name of CREDIT_STATES) state.set({ state: name }, name === now.state ? 1 : 0);
      holdAge.clear();
      holds.clear();
      for (const reason of REASONS) holds.set({ reason }, 0);
      for (const [reason, ages] of Map.groupBy(now.holds, (hold) => hold.reason)) {
        holds.set({ reason }, ages.length);
        holdAge.set({ reason }, Math.max(...ages.map(({ age }) => age)));
      }
      deliveries.set({}, now.deliveries);
      dueAge.set({}, now.oldestDueAge);
      outbox.set({}, now.outbox);
      eventAge.set({}, now.oldestEventAge);
    },
  };
}

function setOrClear(gauge: GaugeOf<never>, value: number | undefined): void {
  if (value === undefined) gauge.clear();
  else gauge.set({}, value);
}
