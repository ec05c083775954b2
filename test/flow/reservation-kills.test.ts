import { LEASE_MS } from '@renderyard/shared/credits/ledger';
import type { Job } from '@renderyard/shared/job/job';
import { expect, test } from 'vitest';
import { type PlannedCall, TRIAL_MS } from './stand-ins/connection.ts';
import { ACCOUNT, type DeadHolder, type Holder, type Holders, openHolders } from './stand-ins/holders.ts';
import type { SurvivorReport } from './stand-ins/surviving-worker.ts';

const ROUNDS = 4;
const HOLDERS = 25;
const CALLS = 3;
/** Holders of the last round find slots only where those of the first round's dead are free again. */
const SLOTS = (ROUNDS - 1) * HOLDERS * CALLS + 10;
/** Nanocredits. */
const BALANCE = 100_000_000_000;
const ENDS = [
  'holds',
  'recorded',
  'records',
  'cuts',
  'asks',
  'holds',
  'released',
  'records',
  'asks',
  'records',
] as const;

/** Starts and kills all holders, in rounds of many at once. */
async function killAll(yard: Holders): Promise<DeadHolder[]> {
  const dead: DeadHolder[] = [];
  const spared: Holder[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const started = await Promise.all(
      Array.from({ length: HOLDERS }, async (_, i) => {
        const index = round * HOLDERS + i;
        const how = { ends: ENDS[index % ENDS.length] ?? 'holds', turns: Math.floor(index / ENDS.length) % 5 };
        return yard.start({ worker: `holder-${index}`, calls: await yard.plan(CALLS), slots: SLOTS, ...how });
      }),
    );
    const outlives = ({ task }: Holder) => round === 0 && task.ends === 'holds';
    spared.push(...started.filter(outlives));
    dead.push(...(await Promise.all(started.filter((holder) => !outlives(holder)).map(yard.kill))));
  }
  // Some have outlived the leases that they were granted, because they renewed them.
  const renewed = spared.flatMap(({ task }) => task.calls);
  expect((await yard.leasesOf(renewed)).size).toBe(renewed.length);
  return [...dead, ...(await Promise.all(spared.map(yard.kill)))];
}

/** Looks at the books again and again. Use it with `await using`; `stop` throws what it saw wrong. */
function watchBooks(yard: Holders) {
  let stopped = false;
  const watching = (async () => {
    while (!stopped) {
      const { balance = 0, spent, reserved, inFlight } = await yard.books();
      expect(balance + spent).toBe(BALANCE);
      expect(reserved).toBeGreaterThanOrEqual(0);
      expect(inFlight).toBeLessThanOrEqual(SLOTS);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  })();
  watching.catch(() => undefined);
  const stop = () => {
    stopped = true;
    return watching;
  };
  return { stop, [Symbol.asyncDispose]: () => stop().catch(() => undefined) };
}

/** What a job shows of a call that is not listed as lost. */
function endOf(job: Job | undefined, { call, cost }: PlannedCall): 'spent' | 'released' | 'never granted' | 'open' {
  if (job?.attempts === 0) return 'never granted';
  if (job === undefined || job.call === call) return 'open';
  return job.cost === cost ? 'spent' : job.cost === 0 && job.status === 'queued' ? 'released' : 'open';
}

/** Where the process of a call was on its way when it died. */
function momentOf({ task }: DeadHolder, planned: PlannedCall): string {
  const at = task.calls.indexOf(planned);
  return at === (task.ends === 'asks' ? task.calls.length - 1 : 0) ? task.ends : 'holds';
}

/** What the next run of a lost call's job does first, as recover.ts does. Returns what it found. */
async function goOn(
  { jobs, record }: Holders['connections'][0],
  { job, call }: PlannedCall,
  tickets: ReadonlyMap<string, number>,
) {
  const claim = await jobs.claim({ job, generation: tickets.get(job) ?? 0 }, TRIAL_MS);
  if (claim.verdict !== 'yours' || claim.lost === undefined) return undefined;
  const settlement = { kind: 'uncertain', how: 'lost_worker' } as const;
  await record({ job, status: 'queued', counted: true, uncertain: 'limited', call: { id: call, settlement } });
  return claim.lost;
}

const sum = (calls: readonly PlannedCall[], of: (call: PlannedCall) => number) =>
  calls.reduce((all, call) => all + of(call), 0);
const seconds = (ms = Number.NaN) => `${(ms / 1000).toFixed(1)} s`;

test('workers killed while they hold reservations: slots are free within seconds, their credits are uncertain, none leaked, none released twice, over 100 kills', async ({
  annotate,
}) => {
  await using yard = await openHolders();
  const [{ ledger, jobs, grant }] = yard.connections;
  await ledger.takeReading(BALANCE, await ledger.beginReading(), { floor: 0, resume: 0, estimate: 1 });
  await using survivor = await yard.standIn('surviving-worker.ts', { SLOTS: String(SLOTS) });
  await using watch = watchBooks(yard);
  const dead = await killAll(yard);
  expect(dead.length).toBe(100);
  const all = dead.flatMap(({ task }) => task.calls);
  await expect.poll(async () => (await yard.leasesOf(all)).size, { timeout: 5 * LEASE_MS }).toBe(0);
  survivor.kill('SIGTERM');
  const { report } = (await survivor.untilLog((line) => 'report' in line)) as unknown as { report: SurvivorReport };
  await watch.stop();

  // Each call is listed as lost, or was ended by its record, or was never granted: one of these, and once.
  const books = await yard.books();
  const listed = new Map(books.uncertainCalls.map((one) => [one.call, one]));
  const fates: Record<string, number> = {};
  let { spent } = report;
  for (const holder of dead) {
    for (const planned of holder.task.calls) {
      const job = await jobs.get(planned.job);
      const uncertain = listed.get(planned.call);
      const end = uncertain === undefined ? endOf(job, planned) : 'lost';
      if (end === 'spent') spent += planned.cost;
      if (end === 'lost') {
        expect(uncertain).toMatchObject({ job: planned.job, how: 'lost_worker', resolved: false });
        expect(job).toMatchObject({ call: planned.call, cost: 0, attempts: 1 });
        const estimate = holder.estimates.get(planned.call);
        if (estimate !== undefined) expect(uncertain?.estimate).toBe(estimate);
      }
      const fate = `${momentOf(holder, planned)}: ${end}`;
      fates[fate] = (fates[fate] ?? 0) + 1;
    }
  }
  await annotate(JSON.stringify(fates));
  // A record whose command arrived was executed, whether its sender lived to hear of it or not.
  const possible = ['holds: lost', 'recorded: spent', 'released: released', 'records: lost', 'records: spent'];
  expect(Object.keys(fates).sort()).toEqual([...possible, 'cuts: lost', 'asks: lost', 'asks: never granted'].sort());
  const lost = all.filter(({ call }) => listed.has(call));
  const estimateOf = ({ call }: PlannedCall) => listed.get(call)?.estimate ?? Number.NaN;
  expect(lost.length).toBe(books.uncertainCalls.length);
  const uncertain = sum(lost, estimateOf);
  expect(books).toMatchObject({ reserved: 0, inFlight: 0, spent, balance: BALANCE - spent, uncertain });
  // What a lost call has reserved of its key's budget is kept until its job is charged.
  expect(books.keys.get(ACCOUNT)).toMatchObject({ total: spent - report.spent, reserved: uncertain });

  // No slot was taken from the living, and each was free after the first reaping that found its lease over.
  const freedAfter: number[] = [];
  for (const { killedAt, leases } of dead) {
    for (const [call, end] of leases) {
      // A record that was still on its way to Redis when its sender died has ended this one since.
      if (!listed.has(call)) continue;
      const at = listed.get(call)?.at ?? Number.NaN;
      expect(at).toBeGreaterThanOrEqual(end);
      // The last ones may have been freed by a call of the survivor, which was stopped before it reaped again.
      const [, reaped] = report.reaps.find(([began]) => began > end) ?? [Infinity, Infinity];
      expect(at).toBeLessThanOrEqual(reaped);
      freedAfter.push(at - killedAt);
    }
  }
  freedAfter.sort((a, b) => a - b);
  const [least, median, most] = [0, freedAfter.length >> 1, freedAfter.length - 1].map((i) => seconds(freedAfter[i]));
  await annotate(
    `${lost.length} calls lost by ${dead.length} kills; their slots were free ${least} (least), ${median} (median), ${most} (most) after the kill, with leases of ${seconds(LEASE_MS)}; meanwhile the survivor made ${report.calls} calls`,
  );

  // A third of the lost calls is told late before its job goes on, a third after that, a third never; all by two at once.
  const third = (n: number) => lost.filter((_, i) => i % 3 === n);
  const [toldFirst, foundFirst, neverTold] = [third(0), third(1), third(2)];
  const tickets = await yard.tickets();
  const goOnTwice = (planned: PlannedCall) => Promise.all(yard.connections.map((one) => goOn(one, planned, tickets)));
  await yard.tellLate(toldFirst);
  for (const planned of [...foundFirst, ...neverTold]) {
    expect(await goOnTwice(planned)).toContainEqual({ call: planned.call, estimate: estimateOf(planned) });
    const charged = { status: 'queued', cost: estimateOf(planned), uncertain: 1, call: '' };
    expect(await jobs.get(planned.job)).toMatchObject(charged);
  }
  await yard.tellLate([...foundFirst, ...toldFirst]);
  for (const planned of lost) expect(await goOnTwice(planned)).toEqual([undefined, undefined]);

  const told = [...toldFirst, ...foundFirst];
  for (const { job, cost } of told)
    expect(await jobs.get(job)).toMatchObject({ status: 'succeeded', cost, attempts: 1, call: '' });
  for (const planned of neverTold)
    expect(await jobs.get(planned.job)).toMatchObject({ status: 'queued', cost: estimateOf(planned), attempts: 1 });
  const after = await yard.books();
  spent += sum(told, ({ cost }) => cost);
  const left = { spent, balance: BALANCE - spent, uncertain: sum(neverTold, estimateOf), reserved: 0, inFlight: 0 };
  expect(after).toMatchObject(left);
  const ids = (calls: readonly { readonly call: string }[]) => calls.map(({ call }) => call).sort();
  expect(ids(after.uncertainCalls)).toEqual(ids(neverTold));
  expect(after.keys.get(ACCOUNT)).toMatchObject({ total: spent - report.spent + left.uncertain, reserved: 0 });

  // Every slot can be had again.
  const more = await yard.plan(SLOTS);
  await Promise.all(more.map((planned) => grant('holder-0', planned, SLOTS)));
  expect((await yard.books()).inFlight).toBe(SLOTS);
}, 180_000);
