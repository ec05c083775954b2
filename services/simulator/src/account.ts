import type { Clock } from '@renderyard/shared/clock';

/** What an account is made of. Amounts are units of 1e-10 credits. */
export interface AccountOptions {
  readonly credits: bigint;
  /** Free credits; they are used up before the others. */
  readonly freeCredits: bigint;
  /** When true, calls in flight hold nothing, and together they may draw the balance below zero. */
  readonly overdraft: boolean;
  readonly clock: Clock;
}

/** An account at one moment: all amounts belong together. */
export interface AccountSnapshot {
  /** Credits and free credits together, held ones included. */
  readonly balance: bigint;
  readonly free: bigint;
  /** What the calls in flight will cost. */
  readonly held: bigint;
  readonly spentByOthers: bigint;
  /** What another spender takes each second. */
  readonly rate: bigint;
}

/** One customer's credits. A call holds its cost while it renders, so that calls in flight cannot overdraw together. */
export interface Account {
  /** Settles by the clock once, then reads everything. */
  snapshot(): AccountSnapshot;
  /** Sets `cost` aside; false when less than that is left, and then nothing changes. */
  hold(cost: bigint): boolean;
  /** Gives up a hold without billing. */
  release(cost: bigint): void;
  /** Bills a cost that was held; returns the balance after it. */
  debit(cost: bigint): bigint;
  /** Sets the balance, whatever calls in flight hold: with a lower one they may draw it below zero. Free credits go. */
  set(balance: bigint): void;
  add(amount: bigint): void;
  /** Another spender takes at most what is not held, or with overdraft what there is; returns what it took. */
  spend(amount: bigint): bigint;
  /** Another spender takes this much every second from now on, until nothing is left; 0 stops it. */
  spendPerSecond(rate: bigint): void;
}

/** An account whose amounts change only by its own methods and, with a rate set, by the clock. */
export function createAccount(options: AccountOptions): Account {
  const { clock } = options;
  let paid = options.credits;
  let free = options.freeCredits;
  let held = 0n;
  let others = 0n;
  let spender = { rate: 0n, since: 0, taken: 0n };

  const take = (amount: bigint) => {
    const fromFree = amount < free ? amount : free;
    free -= fromFree;
    paid -= amount - fromFree;
  };
  /** What nobody has set aside. With overdraft a call in flight keeps nothing from anybody. */
  const unheld = () => paid + free - (options.overdraft ? 0n : held);
  const takeForOther = (amount: bigint) => {
    const left = unheld();
    const taken = amount < left ? amount : left > 0n ? left : 0n;
    take(taken);
    others += taken;
    return taken;
  };
  const settle = () => {
    if (spender.rate === 0n) return;
    const due = (spender.rate * BigInt(Math.max(0, clock.now() - spender.since))) / 1000n;
    if (due > spender.taken) takeForOther(due - spender.taken);
    spender.taken = due > spender.taken ? due : spender.taken;
  };

  return {
    snapshot: () => {
      settle();
      return { balance: paid + free, free, held, spentByOthers: others, rate: spender.rate };
    },
    hold: (cost) => {
      settle();
      if (unheld() < cost) return false;
      held += cost;
      return true;
    },
    release: (cost) => {
      held -= cost;
    },
    debit: (cost) => {
      settle();
      held -= cost;
      take(cost);
      return paid + free;
    },
    set: (amount) => {
      settle();
      free = 0n;
      paid = amount;
    },
    add: (amount) => {
      settle();
      paid += amount;
    },
    spend: (amount) => {
      settle();
      return takeForOther(amount);
    },
    spendPerSecond: (rate) => {
      settle();
      spender = { rate, since: clock.now(), taken: 0n };
    },
  };
}
