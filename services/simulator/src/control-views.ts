import { creditsNumber, formatCredits } from './credits.ts';
import type { FaultRule } from './fault-rules.ts';
import { type CallEntry, type LedgerEntry, showCall, showRender } from './records.ts';
import type { World } from './world.ts';

/** A page of a log: up to its limit, or fewer when they are large. `next` is what to pass as `after` for the page that follows, null when there is none yet. */
export interface LogPage<T> {
  data: T[];
  next: number | null;
  /** The oldest entries that are no longer kept. */
  dropped: number;
}

/** The balance and what was billed, exact also when old entries were dropped, and a page of what was billed. */
export interface LedgerPage extends LogPage<LedgerEntry> {
  balance: number;
  balance_exact: string;
  billed_count: number;
  billed_total: number;
  billed_total_exact: string;
}

export interface CallPage extends LogPage<CallEntry> {
  /** All calls that ever arrived, dropped ones included. */
  total: number;
}

/** A rule in force and how often it was used. */
export type FaultInForce = FaultRule & { readonly id: string; readonly used: number };

/** The state at a glance. Amounts are credits, with the exact text beside the number. */
export interface SimulatorState {
  started_at: string;
  balance: number;
  balance_exact: string;
  free_credits: number;
  /** What calls in flight will cost: still part of the balance, and set aside unless overdrafts are let through. */
  held: number;
  held_exact: string;
  billed_count: number;
  billed_total: number;
  billed_total_exact: string;
  spent_by_others: number;
  spent_by_others_exact: string;
  spend_per_second: number;
  in_flight: number;
  calls: number;
  calls_dropped: number;
  ledger_dropped: number;
  faults: number;
  keys: { accepted: number | 'any'; refused: number | 'all' };
  models: { known: string[]; retired: string[] };
}

export function showState(world: World): SimulatorState {
  const { billed } = world;
  const { balance, free, held, spentByOthers, rate } = world.account.snapshot();
  return {
    started_at: new Date(world.startedAt).toISOString(),
    balance: creditsNumber(balance),
    balance_exact: formatCredits(balance),
    free_credits: creditsNumber(free),
    held: creditsNumber(held),
    held_exact: formatCredits(held),
    billed_count: billed.count,
    billed_total: creditsNumber(billed.total),
    billed_total_exact: formatCredits(billed.total),
    spent_by_others: creditsNumber(spentByOthers),
    spent_by_others_exact: formatCredits(spentByOthers),
    spend_per_second: creditsNumber(rate),
    in_flight: world.inFlight.size,
    calls: world.calls.last(),
    calls_dropped: world.calls.dropped(),
    ledger_dropped: world.ledger.dropped(),
    faults: world.faults.list().length,
    keys: world.keys.summary(),
    models: { known: world.models.known(), retired: world.models.retired() },
  };
}

/** A page ends after about this many bytes of JSON: more would keep the process busy for long. */
const PAGE_BYTES = 8 * 1024 * 1024;
/** What an entry has besides what it repeats of its body: an estimate, in bytes. */
const ENTRY_BYTES = 800;

/** As many entries as the page has room for, and always one. @param repeats how often an entry has its body, about. */
function fitting<T extends { readonly body: Buffer }>(entries: readonly T[], repeats: number): readonly T[] {
  let bytes = 0;
  const full = entries.findIndex(({ body }, i) => {
    bytes += body.length * repeats + ENTRY_BYTES;
    return i > 0 && bytes > PAGE_BYTES;
  });
  return full === -1 ? entries : entries.slice(0, full);
}

function nextOf(data: readonly { readonly seq: number }[], last: number): number | null {
  const seq = data.at(-1)?.seq;
  return seq === undefined || seq >= last ? null : seq;
}

export function showLedger(world: World, after: number, limit: number): LedgerPage {
  const data = fitting(world.ledger.page(after, limit), 2).map(showRender);
  const { balance } = world.account.snapshot();
  return {
    balance: creditsNumber(balance),
    balance_exact: formatCredits(balance),
    billed_count: world.billed.count,
    billed_total: creditsNumber(world.billed.total),
    billed_total_exact: formatCredits(world.billed.total),
    data,
    next: nextOf(data, world.ledger.last()),
    dropped: world.ledger.dropped(),
  };
}

export function showCalls(world: World, after: number, limit: number, bodies: boolean): CallPage {
  const data = fitting(world.calls.page(after, limit), bodies ? 2.4 : 1).map((call) => showCall(call, bodies));
  return { total: world.calls.last(), data, next: nextOf(data, world.calls.last()), dropped: world.calls.dropped() };
}
