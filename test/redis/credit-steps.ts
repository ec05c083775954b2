import { LEASE_MS, type Ledger } from '@renderyard/shared/credits/ledger';
import type { JobEnd, Settlement } from '@renderyard/shared/job/job-end';
import type { JobStore } from '@renderyard/shared/job/job-store';
import type { Redis } from 'ioredis';
import { type Bench, COST, LIMITS, MODEL, TRIAL_MS } from './bench.ts';
import { BILLABLE_MS, MARGIN_MS, type Sample, type TrueCall, type Truth } from './credit-truth.ts';

/** How the upstream answers in a run. */
export type Upstream =
  /** The balance call and headers tell the truth of some moment; headers may be missing. */
  | 'plain'
  /** Headers may be anything. */
  | 'garbled'
  /** The balance call may answer without a usable balance. */
  | 'unread'
  /** Headers tell less than the balance call, always by the same amount. */
  | 'apart';

/** One process: a connection of its own. */
export interface Client {
  readonly name: string;
  readonly redis: Redis;
  readonly ledger: Ledger;
  readonly jobs: JobStore;
}

export interface Scene {
  readonly bench: Bench;
  readonly truth: Truth;
  readonly floor: number;
  readonly upstream: Upstream;
  /** Costs are not what was expected. */
  readonly noisy: boolean;
  /** Clients act at once, so that nobody can say whether a reading was quiet. */
  readonly together: boolean;
}

interface Pending {
  readonly begun: { readonly seq: number; readonly startedAt: number };
  readonly clock: number;
  sample: Sample | undefined;
}

const SLOTS = 6;
const pick = <T>(list: readonly T[], n: number): T | undefined => list[n % Math.max(list.length, 1)];

/**
 * What a client can do, each with a number that chooses among what there is to do it with. Whatever one does on our side
 * before it asks Redis is done in one go, so that no two clients end the same call.
 */
export function createSteps(scene: Scene) {
  const { bench, truth, floor, noisy } = scene;
  const thresholds = { floor, resume: 0, estimate: COST };
  const pending = new Set<Pending>();
  const tellings: { readonly call: TrueCall; readonly end: JobEnd }[] = [];
  const open = new Set<string>();
  /** Whether a header's word is the balance call's for certain: after a top-up the two may be thought to differ. */
  let headersTeach = scene.upstream === 'plain' || scene.upstream === 'unread';
  let spent = 0;
  let made = 0;
  /** The last exact reading, and what was settled as spent since, as long as no other reading was taken in. */
  let exact: { readonly value: number; spent: number; readonly resolved: ReadonlySet<string> } | undefined;

  const seqNow = async ({ redis }: Client) => Number((await redis.hget(`${bench.prefix}credits`, 'seq')) ?? 0);
  const learn = async (
    client: Client,
    then: number,
    take: () => Promise<boolean>,
    sample: Sample,
    teaches: boolean,
  ) => {
    exact = undefined;
    const quiet = !scene.together && (await seqNow(client)) === then;
    if ((await take()) && quiet && teaches) truth.learned(sample);
  };

  const headerOf = (sample: Sample, n: number): number | undefined => {
    if (scene.upstream === 'apart') return Math.max(0, sample.value - 3 * COST);
    if (n % 4 === 0) return undefined;
    if (scene.upstream !== 'garbled' || n % 4 === 1) return sample.value;
    return pick([0, 1, sample.value * 2, sample.value + COST, 1_000_000 * COST, sample.value - COST], n >> 2);
  };

  const tell = async (client: Client, call: TrueCall, settlement: Settlement, header?: number) => {
    const sample = call.header;
    const told = header !== undefined && sample !== undefined;
    const startedAt = call.grant.startedAt - truth.age(call);
    const end: JobEnd = {
      job: call.job,
      status: settlement.kind === 'spent' ? 'succeeded' : 'queued',
      call: {
        id: call.id,
        settlement,
        reading: told ? { value: header, seq: call.grant.seq, startedAt } : undefined,
      },
    };
    call.worker = 'telling';
    if (settlement.kind === 'spent' && settlement.cost !== undefined) truth.telling(call, settlement.cost);
    truth.note(`tell ${call.id} ${JSON.stringify(settlement)} ${header ?? ''}`);
    if (told) exact = undefined;
    const record = async () => {
      await client.jobs.record(end, TRIAL_MS);
      return true;
    };
    if (told) await learn(client, call.grant.seq, record, sample, headersTeach && header === sample.value);
    else await record();
    call.worker = 'told';
    tellings.push({ call, end });
    if (settlement.kind === 'spent') {
      const cost = settlement.cost ?? call.grant.estimate;
      spent += cost;
      if (exact !== undefined && !exact.resolved.has(call.id)) exact.spent += cost;
      if (settlement.cost !== undefined) truth.told(call);
    } else open.add(call.job);
  };
  const giveUp = (client: Client, call: TrueCall) => tell(client, call, { kind: 'uncertain', how: 'timeout' });

  const read = async ({ ledger }: Client) => {
    const begun = await ledger.beginReading();
    const sample = truth.sample();
    exact = undefined;
    await ledger.takeReading(sample.value, begun, thresholds);
    return sample;
  };

  const alone = {
    /** Time passes. Some workers renew their leases as it does, while others ask, and some are not heard of. */
    async pass(clients: readonly Client[], n: number) {
      const ms = pick([LEASE_MS, LEASE_MS, 5 * LEASE_MS, LIMITS.timeoutMs, BILLABLE_MS + MARGIN_MS], n) ?? LEASE_MS;
      const [first] = clients;
      if (first === undefined) return;
      for (const call of truth.calls)
        if (call.worker === 'waits' && truth.age(call) + ms > LIMITS.timeoutMs) await giveUp(first, call);
      truth.pass(ms, (_, i) => ((n >> i) & 1) === 0);
      await bench.pass(ms);
      const waiting = truth.calls.filter(({ worker }) => worker === 'waits');
      const renewed = waiting.filter((_, i) => ((n >> (i + 3)) & 1) === 1);
      for (const call of waiting) if (!renewed.includes(call)) call.worker = 'lost';
      const turns = clients.map((client, i) => async () => {
        const own = renewed.filter((_, j) => j % clients.length === i);
        if (i % 2 === 0) await client.ledger.reap(TRIAL_MS);
        const lost = await client.ledger.renew(own.map(({ id }) => id));
        for (const call of own) if (lost.includes(call.id)) call.worker = 'lost';
        if (i % 2 === 1) await client.ledger.reap(TRIAL_MS);
      });
      if (scene.together) await Promise.all(turns.map((turn) => turn()));
      else for (const turn of turns) await turn();
      await first.ledger.releaseHold('upstream');
    },
    /** The balance is read, with nobody else about: whatever it says is exact. */
    async read(clients: readonly Client[]) {
      const [client] = clients;
      if (client === undefined) return;
      const sample = await read(client);
      truth.learned(sample);
      truth.note('read');
      const { uncertainCalls } = await client.ledger.snapshot(Date.now());
      const resolved = new Set(uncertainCalls.filter((one) => one.resolved).map((one) => one.call));
      exact = { value: sample.value, spent: 0, resolved };
    },
  };

  const steps = {
    async ask(client: Client, n: number) {
      const classOf = n % 2;
      const guess = (1 + classOf) * COST;
      const cost = noisy ? Math.round((guess * (3 + (n % 13))) / 8) : guess;
      const again = n % 3 === 0 ? pick([...open], n) : undefined;
      const job = again ?? (await bench.job());
      const id = `call_${++made}`;
      const asked = truth.asking();
      const verdict = await client.ledger.admit(
        { job, call: id, worker: client.name, model: MODEL, costClass: `c${classOf}`, estimate: guess },
        { ...LIMITS, floor, slots: SLOTS },
      );
      if (verdict.verdict === 'probe') await read(client);
      if (verdict.verdict === 'go') truth.granted(asked, { id, job, grant: verdict, cost });
      else truth.note(`${id} ${JSON.stringify(verdict)}`);
    },
    async bill(_: Client, n: number) {
      const call = pick(truth.owed(), n);
      if (call !== undefined) truth.bill(call);
    },
    /** A worker, also one that was thought dead, tells how its call ended. */
    async tell(client: Client, n: number) {
      const call = pick(
        truth.calls.filter(({ worker }) => worker === 'waits' || worker === 'lost'),
        n,
      );
      if (call === undefined) return;
      if ((n >> 5) % 4 === 3) return giveUp(client, call);
      if (call.header === undefined) {
        call.billing = 'never';
        return tell(client, call, { kind: 'released' });
      }
      const garbled = noisy && (n >> 5) % 4 === 1 ? pick([0, 1, call.cost >> 1, 3 * call.cost], n) : undefined;
      const cost = (n >> 5) % 4 === 2 ? undefined : (garbled ?? call.cost);
      return tell(client, call, { kind: 'spent', cost }, headerOf(call.header, n >> 1));
    },
    /** The same is told once more: the answer to it was lost. */
    async tellAgain(client: Client, n: number) {
      const telling = pick(tellings, n);
      if (telling !== undefined) await client.jobs.record(telling.end, TRIAL_MS);
    },
    /** The job of a lost call goes on without it. */
    async goOn(client: Client, n: number) {
      const call = pick(
        truth.calls.filter(({ worker }) => worker === 'lost'),
        n,
      );
      if (call === undefined) return;
      const settlement = { kind: 'uncertain', how: 'lost_worker' } as const;
      await client.jobs.record({ job: call.job, status: 'queued', call: { id: call.id, settlement } }, TRIAL_MS);
      open.add(call.job);
    },
    /** A worker that was thought dead renews its lease. */
    async revive(client: Client, n: number) {
      const call = pick(
        truth.calls.filter((one) => one.worker === 'lost' && truth.age(one) < LIMITS.timeoutMs),
        n,
      );
      if (call === undefined) return;
      const lost = await client.ledger.renew([call.id]);
      if (lost.length === 0 && call.worker === 'lost') call.worker = 'waits';
    },
    async reap(client: Client) {
      await client.ledger.reap(TRIAL_MS);
    },
    async begin({ ledger }: Client) {
      pending.add({ begun: await ledger.beginReading(), clock: truth.clock, sample: undefined });
    },
    async answer(_: Client, n: number) {
      const reading = pick(
        [...pending].filter(({ sample }) => sample === undefined),
        n,
      );
      if (reading !== undefined) reading.sample = truth.sample();
    },
    async take(client: Client, n: number) {
      const reading = pick(
        [...pending].filter(({ sample }) => sample !== undefined),
        n,
      );
      if (reading?.sample === undefined) return;
      pending.delete(reading);
      const begun = { ...reading.begun, startedAt: reading.begun.startedAt - (truth.clock - reading.clock) };
      const { sample } = reading;
      const value = scene.upstream === 'unread' && n % 2 === 0 ? undefined : sample.value;
      truth.note(`take ${value ?? 'nothing'}`);
      const take = async () => {
        await client.ledger.takeReading(value, begun, thresholds);
        return true;
      };
      await learn(client, begun.seq, take, sample, value !== undefined);
    },
    async start({ ledger }: Client) {
      exact = undefined;
      await ledger.meetUpstream('upstream', { floor, low: floor, resume: floor });
    },
    async spendOutside(_: Client, n: number) {
      truth.spendOutside(Math.max(0, Math.min(truth.account, (1 + (n % 3)) * COST)));
    },
    async topUp(_: Client, n: number) {
      headersTeach = false;
      truth.topUp((1 + (n % 5)) * COST);
    },
  };

  return {
    alone,
    steps,
    /** What the books have to say, when nobody is about. */
    expected: () => ({ spent, balance: exact === undefined ? undefined : exact.value - exact.spent }),
    /** Ends all that is under way: nothing is in flight any more, and nothing can be billed. */
    async rest(clients: readonly Client[]) {
      await alone.pass(clients, 4);
      await alone.pass(clients, 0);
      await alone.read(clients);
    },
  };
}

export type Step = keyof ReturnType<typeof createSteps>['steps'];
