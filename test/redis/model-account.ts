import type { Grant } from '@renderyard/shared/credits/admission';
import { LEASE_MS } from '@renderyard/shared/credits/ledger';
import type { Settlement } from '@renderyard/shared/job/job-end';
import { type Bench, COST, LIMITS } from './bench.ts';

/** After this long since it was granted a call is billed no more. */
const BILLABLE_MS = LIMITS.timeoutMs + 30_000;
/** What tests take in real time counts as well; nothing is billed in the last second. */
const MARGIN_MS = 1000;

interface ModelCall {
  readonly id: string;
  readonly job: string;
  readonly grant: Grant;
  readonly cost: number;
  /** By the model's clock. */
  readonly startedAt: number;
  /** `owed`: it may yet be billed. */
  billing: 'owed' | 'billed' | 'never';
  /** What the account held just after it was billed, and how much of the outside spending that knows of. */
  header: { readonly value: number; readonly knows: number } | undefined;
  /** Whether its worker still waits for the answer, was thought dead, or has told how it ended. */
  worker: 'waits' | 'lost' | 'told';
}

interface PendingReading {
  readonly begun: { readonly seq: number; readonly startedAt: number };
  /** By the model's clock. */
  readonly startedAt: number;
  answer: { readonly value: number; readonly knows: number } | undefined;
}

/**
 * An account at the upstream as segmind's customers know it: a call is billed once, at some moment between its start
 * and {@link BILLABLE_MS} later, whether or not its answer arrives; others spend from it too. It makes its calls and
 * readings through the real ledger, and knows at each moment what the ledger may believe at most.
 */
export function createModelAccount(bench: Bench, options: { readonly floor: number; readonly holds: number }) {
  let account = options.holds;
  let clock = 0;
  const calls: ModelCall[] = [];
  const pending = new Set<PendingReading>();
  const outside: number[] = [];
  /** How much of the outside spending the ledger has been told of. */
  let known = 0;
  const thresholds = { floor: options.floor, resume: 0, estimate: COST };
  /** How long ago it began; what the ledger noted as a time has been moved by so much, what we noted has not. */
  const age = (call: ModelCall) => clock - call.startedAt;
  const pick = <T>(list: readonly T[], n: number): T | undefined => list[n % Math.max(list.length, 1)];
  const owed = () => calls.filter(({ billing }) => billing === 'owed');

  const sample = () => ({ value: account, knows: outside.length });

  /**
   * The ledger took in what an answer says. Of what others have spent only a quiet reading tells for certain: in
   * another, what we settled meanwhile may hide it.
   */
  const learn = async (answer: { readonly knows: number }, seqThen: number, seqBefore: number) => {
    if (seqThen === seqBefore) known = answer.knows;
  };
  const seqNow = async () => Number((await bench.redis.hget(`${bench.prefix}credits`, 'seq')) ?? 0);

  const bill = (call: ModelCall) => {
    if (account < call.cost) call.billing = 'never';
    else {
      account -= call.cost;
      call.billing = 'billed';
      call.header = sample();
    }
  };

  const tell = async (call: ModelCall, settlement: Settlement, withHeader: boolean) => {
    const header = withHeader ? call.header : undefined;
    const seq = await seqNow();
    const known = header !== undefined && (await bench.books()).uncertainCalls.some((one) => one.call === call.id);
    const startedAt = call.grant.startedAt - age(call);
    const reading = header && { value: header.value, seq: call.grant.seq, startedAt };
    const status = settlement.kind === 'spent' ? 'succeeded' : 'queued';
    await bench.end(call, { status, settlement, reading });
    if (header !== undefined && (call.worker === 'waits' || known)) await learn(header, call.grant.seq, seq);
    call.worker = 'told';
  };

  const steps = {
    async ask(n: number) {
      const cost = n % 2 === 0 ? COST : 2 * COST;
      const job = await bench.job();
      const id = `call_${calls.length}_${job}`;
      const grant = await bench.ask(job, {
        call: id,
        estimate: cost,
        costClass: `class-${n % 2}`,
        floor: options.floor,
        slots: 6,
      });
      if (grant.verdict !== 'go') return;
      calls.push({ id, job, grant, cost, startedAt: clock, billing: 'owed', header: undefined, worker: 'waits' });
    },
    async bill(n: number) {
      const call = pick(owed(), n);
      if (call !== undefined) bill(call);
    },
    /** A worker, also one that was thought dead, tells how its call ended. */
    async tell(n: number) {
      const call = pick(
        calls.filter(({ worker }) => worker !== 'told'),
        n,
      );
      if (call === undefined) return;
      const way = Math.floor(n / 7) % 4;
      if (way === 0) return tell(call, { kind: 'uncertain', how: 'timeout' }, false);
      if (call.billing === 'billed') {
        const cost = way === 1 ? undefined : call.cost;
        return tell(call, { kind: 'spent', cost }, way !== 3);
      }
      call.billing = 'never';
      return tell(call, { kind: 'released' }, false);
    },
    /** The job of a lost call goes on without it. */
    async goOn(n: number) {
      const call = pick(
        calls.filter(({ worker }) => worker === 'lost'),
        n,
      );
      if (call !== undefined)
        await bench.end(call, { status: 'queued', settlement: { kind: 'uncertain', how: 'lost_worker' } });
    },
    /** A lease's time passes. Some workers renew in time, some do not. */
    async pass(n: number) {
      for (const call of calls)
        if (call.worker === 'waits' && age(call) + LEASE_MS > LIMITS.timeoutMs) await steps.giveUp(call);
      await steps.wait(LEASE_MS);
      const waiting = calls.filter(({ worker }) => worker === 'waits');
      const renewed = waiting.filter((_, i) => ((n >> i) & 1) === 1);
      await bench.ledger.renew(renewed.map(({ id }) => id));
      await bench.ledger.reap(LIMITS.trialMs);
      for (const call of waiting) if (!renewed.includes(call)) call.worker = 'lost';
      await bench.ledger.releaseHold('upstream');
    },
    /** A worker that was thought dead renews its lease. */
    async revive(n: number) {
      const call = pick(
        calls.filter((one) => one.worker === 'lost' && age(one) < LIMITS.timeoutMs),
        n,
      );
      if (call === undefined) return;
      if ((await bench.ledger.renew([call.id])).length === 0) call.worker = 'waits';
    },
    /** So much time passes that nothing which was begun before is billed any more. */
    async passLong() {
      for (const call of calls) if (call.worker === 'waits') await steps.giveUp(call);
      await steps.wait(BILLABLE_MS + MARGIN_MS);
    },
    async beginReading() {
      pending.add({ begun: await bench.ledger.beginReading(), startedAt: clock, answer: undefined });
    },
    async answerReading(n: number) {
      const reading = pick(
        [...pending].filter(({ answer }) => answer === undefined),
        n,
      );
      if (reading !== undefined) reading.answer = sample();
    },
    async takeReading(n: number) {
      const reading = pick(
        [...pending].filter(({ answer }) => answer !== undefined),
        n,
      );
      if (reading?.answer === undefined) return;
      pending.delete(reading);
      const seq = await seqNow();
      const startedAt = reading.begun.startedAt - (clock - reading.startedAt);
      await bench.ledger.takeReading(reading.answer.value, { ...reading.begun, startedAt }, thresholds);
      await learn(reading.answer, reading.begun.seq, seq);
    },
    async read() {
      const begun = await bench.ledger.beginReading();
      await bench.ledger.takeReading(account, begun, thresholds);
      known = outside.length;
    },
    async spendOutside(n: number) {
      const amount = Math.min(account, (1 + (n % 3)) * COST);
      account -= amount;
      outside.push(amount);
    },
    async topUp(n: number) {
      account += (1 + (n % 5)) * COST;
    },
    async giveUp(call: ModelCall) {
      await tell(call, { kind: 'uncertain', how: 'timeout' }, false);
    },
    async wait(ms: number) {
      // What is still owed when its time is over is not billed at all, or was by the last moment.
      clock += ms;
      await bench.pass(ms);
      for (const call of owed()) {
        if (age(call) < BILLABLE_MS - MARGIN_MS) continue;
        if (call.cost === COST) bill(call);
        else call.billing = 'never';
      }
    },
  };

  return {
    steps,
    get account() {
      return account;
    },
    get spentOutside() {
      return outside.reduce((sum, amount) => sum + amount, 0);
    },
    /** What is really left for new calls, when every call that may yet be billed is. */
    get left() {
      return account - owed().reduce((sum, { cost }) => sum + cost, 0);
    },
    /** What others have spent and the ledger could not know. */
    get unknown() {
      return outside.slice(known).reduce((sum, amount) => sum + amount, 0);
    },
  };
}
