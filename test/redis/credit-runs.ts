import fc from 'fast-check';
import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import { COST, LIMITS, MODEL, openBench } from './bench.ts';
import { type Client, createSteps, type Step, type Upstream } from './credit-steps.ts';
import { createTruth, MARGIN_MS } from './credit-truth.ts';

/** What one client does, one thing after another. */
type Program = readonly (readonly [Step, number])[];
/** Either all clients do something at once, or one thing happens that nobody acts beside. */
type Wave = { readonly programs: readonly Program[] } | { readonly alone: 'pass' | 'read'; readonly n: number };

/** All that one run of the model is made of. */
export interface Run {
  /** What the account holds above the floor, in costs of a call. */
  readonly above: number;
  readonly upstream: Upstream;
  readonly noisy: boolean;
  /** In what order clients take turns where they do not act at once. */
  readonly turns: number;
  readonly waves: readonly Wave[];
}

const FLOOR = 10 * COST;
const CLIENTS = 4;

/** What belongs together, so that chance need not find it; each client's is interrupted by the others'. */
const MOTIFS: readonly (readonly Step[])[] = [
  ['ask', 'bill', 'tell'],
  ['ask', 'bill', 'tell'],
  ['ask', 'ask', 'bill', 'bill', 'tell', 'tell'],
  ['ask', 'bill'],
  ['tell', 'tellAgain'],
  ['begin', 'answer', 'ask', 'bill', 'tell', 'take'],
  ['ask', 'begin', 'bill', 'tell', 'answer', 'take'],
  ['begin', 'answer', 'begin', 'spendOutside', 'answer', 'take', 'take', 'ask', 'ask'],
  ['begin', 'answer', 'take'],
  ['begin', 'answer'],
  ['goOn', 'ask', 'bill', 'tell'],
  ['revive', 'bill', 'tell'],
  ['reap', 'goOn', 'tell'],
  ['start', 'begin', 'answer', 'take'],
  ['topUp', 'begin', 'answer', 'take'],
  ['take', 'ask'],
  ['spendOutside'],
];
const program: fc.Arbitrary<Program> = fc
  .array(fc.constantFrom(...MOTIFS), { minLength: 1, maxLength: 2 })
  .chain((motifs) => fc.tuple(...motifs.flat().map((step) => fc.tuple(fc.constant(step), fc.nat(255)))));
const programs = fc.array(program, { minLength: 1, maxLength: CLIENTS }).map((each): Wave => ({ programs: each }));
const pass = fc.nat(4095).map((n): Wave => ({ alone: 'pass', n }));
const read = fc.constant<Wave>({ alone: 'read', n: 0 });
/** A lease's time, in which nobody is heard of. */
const silence = fc.constant<Wave>({ alone: 'pass', n: 0 });
/** So much time that nothing which was begun before is billed any more; `n` says what was, at the last moment. */
const ages = fc.nat(800).map((n): Wave => ({ alone: 'pass', n: 4 + 5 * n }));
const some = (least: number, most: number, ...steps: readonly Step[]) =>
  fc
    .array(fc.tuple(...steps.map((step) => fc.tuple(fc.constant(step), fc.nat(255)))), {
      minLength: least,
      maxLength: most,
    })
    .map((each): Wave => ({ programs: each }));
const many = (...steps: readonly Step[]) => some(2, CLIENTS, ...steps);
const one = (...steps: readonly Step[]) => some(1, 1, ...steps);
/** What takes several waves. */
const waves: fc.Arbitrary<readonly Wave[]> = fc.oneof(
  { weight: 3, arbitrary: programs.map((wave) => [wave]) },
  { weight: 1, arbitrary: pass.map((wave) => [wave]) },
  { weight: 1, arbitrary: read.map((wave) => [wave]) },
  // Calls are lost, and others asked for before it is known what became of them.
  { weight: 1, arbitrary: fc.tuple(many('ask', 'ask'), silence, many('ask', 'revive', 'ask'), programs) },
  // Calls stay unknown until they can be billed no more, and the balance is read before that or after.
  { weight: 1, arbitrary: fc.tuple(many('ask'), silence, fc.oneof(read, programs), many('ask', 'bill')) },
  // A worker starts while calls are in flight, and the balance cannot be read.
  {
    weight: 1,
    arbitrary: fc.tuple(many('ask', 'bill'), many('start', 'begin', 'answer', 'take'), many('tell', 'ask'), programs),
  },
  { weight: 1, arbitrary: fc.tuple(many('ask'), ages, one('ask', 'bill', 'tell'), many('ask', 'ask')) },
);

/** Any run of an upstream of these kinds. */
export function anyRun(options: { readonly noisy: boolean }): fc.Arbitrary<Run> {
  return fc.record({
    above: fc.oneof(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 6, max: 20 })),
    upstream: fc.constantFrom<Upstream>('plain', 'garbled', 'unread', 'apart'),
    noisy: fc.constant(options.noisy),
    turns: fc.nat(),
    waves: fc.array(waves, { minLength: 2, maxLength: 5 }).map((all) => all.flat()),
  });
}

/** One order of the programs' steps: each program's own order is kept. */
function woven(programs: readonly Program[], turns: number): readonly (readonly [number, Step, number])[] {
  const rest = programs.map((steps) => [...steps]);
  const order: (readonly [number, Step, number])[] = [];
  let random = turns;
  for (;;) {
    const able = rest.flatMap((steps, client) => (steps.length > 0 ? [client] : []));
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
    const client = able[(random >>> 16) % able.length];
    const step = client === undefined ? undefined : rest[client]?.shift();
    if (client === undefined || step === undefined) return order;
    order.push([client, ...step]);
  }
}

/** What became of a run: the least that was left above the floor, and the most that it was below it. */
export interface Played {
  readonly calls: number;
  readonly lowest: number;
  readonly deepest: number;
}

/**
 * Plays a run and throws where the floor or the books are broken. `together`: the clients act at once, and what comes
 * first is up to chance; otherwise they take turns, and the same run is the same each time. `meddle` is given each
 * connection before it is used. `floorOnly`: the books may say what they like, as long as the floor is kept.
 */
export async function play(
  run: Run,
  {
    together,
    floorOnly = false,
    meddle,
  }: { readonly together: boolean; readonly floorOnly?: boolean; readonly meddle?: (redis: Redis) => void },
): Promise<Played> {
  const began = performance.now();
  await using bench = await openBench();
  const clients: Client[] = [{ ...bench, name: 'client-0' }];
  for (let i = 1; i < CLIENTS; i++) clients.push({ ...(await bench.connect()), name: `client-${i}` });
  for (const { redis } of clients) meddle?.(redis);
  const [first] = clients;
  if (first === undefined) throw new Error('there is no client');
  const truth = createTruth({ floor: FLOOR, holds: FLOOR + run.above * COST });
  const { alone, steps, expected, rest } = createSteps({
    bench,
    truth,
    floor: FLOOR,
    upstream: run.upstream,
    noisy: run.noisy,
    together,
  });
  const failed = (what: string) => `${what}\n${truth.events.slice(-80).join('\n')}`;

  const compare = async () => {
    if (floorOnly) return;
    const { balance, reserved, uncertain, spent, inFlight, uncertainCalls } = await first.ledger.snapshot(Date.now());
    expect(reserved, failed('reserved')).toBeGreaterThanOrEqual(0);
    expect(uncertain, failed('uncertain')).toBeGreaterThanOrEqual(0);
    const unsettled = uncertainCalls.filter(({ resolved }) => !resolved);
    expect(uncertain, failed('uncertain')).toBe(unsettled.reduce((sum, { estimate }) => sum + estimate, 0));
    const known = new Set(uncertainCalls.map(({ call }) => call));
    const flying = truth.calls.filter(({ id, worker }) => (worker === 'waits' || worker === 'lost') && !known.has(id));
    expect(inFlight, failed('in flight')).toBe(flying.length);
    expect(reserved, failed('reserved')).toBe(flying.reduce((sum, { grant }) => sum + grant.estimate, 0));
    expect(spent, failed('spent')).toBe(expected().spent);
    const exact = expected().balance;
    if (exact !== undefined) expect(balance, failed('balance')).toBe(exact);
    if (balance !== undefined && !together) {
      const allowed = truth.left() + truth.unknown + truth.excess;
      expect(balance - reserved - uncertain, failed('believed to be left')).toBeLessThanOrEqual(allowed);
    }
  };

  await alone.read(clients);
  for (const wave of run.waves) {
    if ('alone' in wave) await alone[wave.alone](clients, wave.n);
    else if (!together)
      for (const [client, step, n] of woven(wave.programs, run.turns)) {
        await steps[step](clients[client] ?? first, n);
        await compare();
      }
    else {
      const turns = wave.programs.map(async (program, client) => {
        for (const [step, n] of program) await steps[step](clients[client] ?? first, n);
      });
      for (const turn of await Promise.allSettled(turns)) if (turn.status === 'rejected') throw turn.reason;
    }
    await compare();
  }

  if (floorOnly) return { calls: truth.calls.length, ...truth.extremes };
  await rest(clients);
  await compare();
  const books = await first.ledger.snapshot(Date.now());
  const quiet = { balance: truth.account, reserved: 0, uncertain: 0, inFlight: 0 };
  expect(books, failed('at rest')).toMatchObject(quiet);
  // What there is above the floor can be used, and no more.
  const asking = { call: 'call_last', worker: 'w', model: MODEL, costClass: 'last', estimate: COST };
  const job = await bench.job();
  const ask = () => first.ledger.admit({ ...asking, job }, { ...LIMITS, floor: FLOOR });
  let last = await ask();
  if (last.verdict === 'probe') {
    await alone.read(clients);
    last = await ask();
  }
  if (truth.account < FLOOR + COST)
    expect(last, failed('the last')).toMatchObject({ verdict: 'hold', name: 'credits' });
  // Work is held for the dearest image that was refused, and what a call was said to cost the next may be expected to.
  // Where it was more than was guessed, as many times more is expected of others, too.
  const told = Math.max(...truth.calls.map((call) => call.mistold ?? call.cost), COST);
  const dearest = Math.max(2 * told, ...truth.calls.map((call) => call.grant.estimate));
  if (truth.account >= FLOOR + dearest) expect(last, failed('the last')).toMatchObject({ verdict: 'go' });
  const took = performance.now() - began;
  if (took > MARGIN_MS - 1000) throw new Error(`This run took ${took} ms, and what it says of times is not certain.`);
  return { calls: truth.calls.length, ...truth.extremes };
}
