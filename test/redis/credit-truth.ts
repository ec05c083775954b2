import type { Grant } from '@renderyard/shared/credits/admission';
import { LIMITS } from './bench.ts';

/** After this long since it was granted a call is billed no more. */
export const BILLABLE_MS = LIMITS.timeoutMs + 30_000;
/** What a run takes in real time counts as well, and the model's clock does not see it; so long before nothing is billed. */
export const MARGIN_MS = 20_000;

/** What the account held at one moment, and what that tells of. */
export interface Sample {
  readonly value: number;
  /** What others had spent until then. */
  readonly outside: number;
  /** How many calls had been billed until then. */
  readonly billed: number;
}

/** A call that was granted, as only the upstream and its worker know it. */
export interface TrueCall {
  readonly id: string;
  readonly job: string;
  readonly grant: Grant;
  readonly cost: number;
  /** By the model's clock. */
  readonly startedAt: number;
  /** `owed`: it may yet be billed. */
  billing: 'owed' | 'billed' | 'never';
  /** The how manieth call to be billed it was. */
  billedAs: number | undefined;
  /** What the account held just after it was billed. */
  header: Sample | undefined;
  /** Whether its worker waits for the answer, was thought dead, is telling, or has told how it ended. */
  worker: 'waits' | 'lost' | 'telling' | 'told';
  /** What the ledger was told that it cost, where that is not true. */
  mistold: number | undefined;
  /** The tick from which on the ledger has been told what it cost. */
  knownAt: number | undefined;
}

interface Granted {
  readonly askedAt: number;
  readonly heardAt: number;
  /** What of the outside spending the ledger had been told when it was asked. */
  readonly known: number;
}

/** Thrown when our own calls take, or may yet take, the account below the floor. */
export class FloorBrokenError extends Error {
  override readonly name = 'FloorBrokenError';
}

export type Truth = ReturnType<typeof createTruth>;

/**
 * The account at the upstream: a call is billed once, at some moment between its grant and {@link BILLABLE_MS} later, or
 * not at all, whether or not its answer arrives; others spend from it too. Every change is one synchronous step. It says
 * after each of them whether the floor is kept by what is granted, beyond what nobody could know: what others spent
 * since the ledger was told, and what calls, whose cost it had not been told when it last granted one, cost more than
 * was expected. Time is counted in ticks of its own, because several clients ask at once: what happened between a
 * question and its answer may have come before or after the ledger decided.
 */
export function createTruth({ floor, holds }: { readonly floor: number; readonly holds: number }) {
  let account = holds;
  let clock = 0;
  let tick = 0;
  let outside = 0;
  let known = 0;
  let billed = 0;
  let lastAsked = 0;
  let last: Granted[] = [];
  let lowest = Number.POSITIVE_INFINITY;
  let deepest = 0;
  const calls: TrueCall[] = [];
  const events: string[] = [];

  const note = (event: string) => void events.push(`${++tick} ${event}: ${account}`);
  const owed = () => calls.filter(({ billing }) => billing === 'owed');
  /** What is left for other calls when every call is billed that may yet be. */
  const left = () => account - owed().reduce((sum, { cost }) => sum + cost, 0);
  /** What calls cost more than was expected, as far as the ledger had not been told at that tick. */
  const excess = (since: number) =>
    calls
      .filter(({ billing, knownAt }) => billing !== 'never' && (knownAt === undefined || knownAt > since))
      .reduce((sum, { cost, grant, mistold = cost }) => sum + Math.max(0, cost - grant.estimate, cost - mistold), 0);

  const check = (event: string) => {
    note(event);
    if (last.length === 0) return;
    lowest = Math.min(lowest, left() - floor);
    const under = floor - left();
    if (under <= 0) return;
    deepest = Math.max(deepest, under);
    const allowed = Math.max(...last.map((grant) => outside - grant.known + excess(grant.askedAt)));
    if (under > allowed)
      throw new FloorBrokenError(
        `${under} below the floor, and nobody could know of more than ${allowed}\n${events.slice(-80).join('\n')}`,
      );
  };

  return {
    calls,
    note,
    owed,
    left,
    get account() {
      return account;
    },
    get clock() {
      return clock;
    },
    get events(): readonly string[] {
      return events;
    },
    /** What others spent since the ledger was told. */
    get unknown() {
      return outside - known;
    },
    /** Sum of what calls cost more than was expected, of those whose cost the ledger has not been told. */
    get excess() {
      return excess(tick);
    },
    /** The least that was left above the floor after a grant, and the most that it was below. */
    get extremes() {
      return { lowest, deepest };
    },
    /** How long ago it was granted, in milliseconds. */
    age: ({ startedAt }: TrueCall) => clock - startedAt,
    sample: (): Sample => ({ value: account, outside, billed }),

    /** A question is put to the ledger. */
    asking: () => ({ askedAt: ++tick, known }),
    /** It was answered with a grant. */
    granted(
      asked: { readonly askedAt: number; readonly known: number },
      call: Pick<TrueCall, 'id' | 'job' | 'grant' | 'cost'>,
    ) {
      calls.push({
        ...call,
        startedAt: clock,
        billing: 'owed',
        billedAs: undefined,
        header: undefined,
        worker: 'waits',
        mistold: undefined,
        knownAt: undefined,
      });
      lastAsked = Math.max(lastAsked, asked.askedAt);
      // Of grants that were asked for at once any may have been the last.
      last = [...last, { ...asked, heardAt: ++tick }].filter(({ heardAt }) => heardAt > lastAsked);
      check(`grant ${call.id}, expected ${call.grant.estimate}, costs ${call.cost}`);
    },
    bill(call: TrueCall) {
      account -= call.cost;
      call.billing = 'billed';
      call.billedAs = billed++;
      call.header = { value: account, outside, billed };
      check(`bill ${call.id}`);
    },
    spendOutside(amount: number) {
      account -= amount;
      outside += amount;
      check('outside');
    },
    topUp(amount: number) {
      account += amount;
      note('top-up');
    },
    /** The ledger is about to be told that the call cost so much. */
    telling(call: TrueCall, cost: number) {
      if (cost !== call.cost) call.mistold = cost;
    },
    /** It has been told. */
    told(call: TrueCall) {
      if (call.mistold === undefined) call.knownAt ??= ++tick;
    },
    /** The ledger has taken in this sample, with nothing settled since it was asked for. */
    learned(sample: Sample) {
      known = Math.max(known, sample.outside);
      for (const call of calls)
        if (call.billedAs !== undefined && call.billedAs < sample.billed) call.knownAt ??= ++tick;
    },
    /** Lets time pass. What is owed when its time is over is billed at the last moment, or not at all. */
    pass(ms: number, bills: (call: TrueCall, index: number) => boolean) {
      clock += ms;
      for (const [index, call] of owed().entries()) {
        if (clock - call.startedAt < BILLABLE_MS - MARGIN_MS) continue;
        if (bills(call, index)) this.bill(call);
        else call.billing = 'never';
      }
      note(`${ms} ms pass`);
    },
  };
}
