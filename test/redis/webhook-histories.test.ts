import { MOST_FAILING_MS, type TakenDelivery } from '@renderyard/shared/webhook/delivery-store';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allKeys } from './keys.ts';
import { LEASE_MS, openWebhookBench, type WebhookBench } from './webhook-bench.ts';
import {
  createWebhookModel,
  expectDeliveriesInOrder,
  LONG_MS,
  type ModelDelivery,
  OWN,
  type WebhookModel,
} from './webhook-model.ts';

/** More runs than the suite has time for: FAST_CHECK_RUNS=5000. */
const RUNS = Number(process.env.FAST_CHECK_RUNS ?? 100);

const which = fc.nat({ max: 3 });
const anyStep = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('make' as const), which, count: fc.integer({ min: 1, max: 7 }) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('take' as const),
      most: fc.constantFrom(100, 100, 3, 0),
      failingMost: fc.constantFrom(100, 1, 0),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('record' as const),
      // Of all that were ever taken: the newest first.
      flight: fc.nat({ max: 6 }),
      verdict: fc.constantFrom('ok' as const, 'ok' as const, 'failed' as const, 'failed' as const, 'gone' as const),
      waitMs: fc.constantFrom(0, LONG_MS, LONG_MS, undefined),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(LONG_MS, LONG_MS, MOST_FAILING_MS) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('replay' as const),
      picks: fc.array(fc.nat({ max: 30 }), { maxLength: 5 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('disable' as const), which }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('enable' as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('sweep' as const) }) },
);
type Step = typeof anyStep extends fc.Arbitrary<infer S> ? S : never;

interface Run {
  readonly bench: WebhookBench;
  readonly model: WebhookModel;
  readonly targets: readonly (string | typeof OWN)[];
  readonly flights: TakenDelivery[];
  /** Histories in which nothing is ever sent would say nothing. */
  sent: number;
}

async function take(run: Run, most: number, failingMost: number): Promise<void> {
  const { bench, model, flights } = run;
  model.expire();
  const dead = [...model.receivers].some(
    ([id, { state }]) => state === 'deleted' && model.of(id, 'waiting').length > 0,
  );
  const could = model.takeable();
  const { taken } = await bench.store.take({ most, failingMost, leaseMs: LEASE_MS });
  const failing = taken.filter((one) => one.failing).length;
  // What waits for a deleted endpoint uses up room when it is come upon.
  if (!dead) {
    const healthy = Math.min(most, could.healthy);
    expect(taken.length - failing).toBe(healthy);
    expect(failing).toBe(Math.min(failingMost, most - healthy, could.failing));
  }
  for (const one of taken) model.took(one);
  for (const [id, { state }] of model.receivers) {
    if (state !== 'deleted') continue;
    for (const one of model.of(id, 'waiting'))
      if ((await bench.store.get(one.id))?.status === 'failed') model.end(one, 'failed');
  }
  flights.unshift(...taken);
  run.sent += taken.length;
}

async function record({ bench, model, flights }: Run, step: Extract<Step, { do: 'record' }>): Promise<void> {
  const flight = flights[step.flight];
  if (flight === undefined) return;
  const { id, receiver: to } = flight.delivery;
  const known = model.deliveries.get(id);
  const isLatest = flights.find(({ delivery }) => delivery.id === id) === flight;
  const answer = await bench.record(flight, step.verdict, { waitMs: step.waitMs });
  if (known === undefined) return expect(answer).toEqual({ status: 'gone', late: true, disabled: undefined });
  const ours = known.place === 'flying' && isLatest;
  if (!ours && (step.verdict !== 'ok' || known.status !== 'pending'))
    return expect(answer).toEqual({ status: known.status, late: true, disabled: undefined });
  const receiver = model.receiver(to);
  known.tries++;
  const last = step.verdict === 'gone' || step.waitMs === undefined;
  if (step.verdict === 'ok') {
    model.end(known, 'succeeded');
    Object.assign(receiver, { failing: false, failingSince: undefined });
  } else {
    receiver.failing = receiver.state !== 'deleted';
    receiver.failingSince ??= model.now;
    if (last || receiver.state === 'deleted') model.end(known, 'failed');
    else Object.assign(known, { place: 'waiting', at: model.now + (step.waitMs ?? 0) });
  }
  if (receiver.state === 'deleted') receiver.failing = false;
  const isEndpoint = to.startsWith('whk_');
  const tooLong = receiver.failingSince !== undefined && model.now - receiver.failingSince >= MOST_FAILING_MS;
  const reason =
    step.verdict === 'ok' || !isEndpoint || receiver.state !== 'enabled'
      ? undefined
      : step.verdict === 'gone'
        ? 'gone'
        : tooLong
          ? 'failing'
          : undefined;
  if (reason !== undefined) receiver.state = 'disabled';
  expect(answer).toEqual({ status: known.status, late: false, disabled: reason });
}

async function replay({ bench, model }: Run, picks: readonly number[]): Promise<void> {
  const all = [...model.deliveries.values()];
  const picked = picks.map((pick) => all[pick]).filter((one) => one !== undefined);
  const ids = [...new Set(picked.map(({ id }) => id)), 'dlv_unknown'];
  expect(await bench.store.replay('somebody', ids)).toEqual([]);
  const fits = (one: ModelDelivery) => one.place !== 'flying' && model.receiver(one.receiver).state === 'enabled';
  const expected = [...new Set(picked)].filter(fits);
  expect(await bench.store.replay('acme', ids)).toEqual(expected.map(({ id }) => id));
  for (const one of expected) Object.assign(one, { place: 'waiting', status: 'pending', at: model.now, tries: 0 });
}

async function step(run: Run, what: Step): Promise<void> {
  const { bench, model, targets } = run;
  const target = 'which' in what ? (targets[what.which] ?? OWN) : OWN;
  const endpoint = typeof target === 'string' && model.receiver(target).state !== 'deleted' ? target : undefined;
  switch (what.do) {
    case 'make': {
      const some = Array.from({ length: what.count }, () => bench.delivery(target));
      await bench.store.make(some);
      for (const { id, receiver } of some) {
        if (model.receiver(receiver).state !== 'enabled') continue;
        const place = { place: 'waiting', status: 'pending', at: model.now, tries: 0, madeAt: model.now } as const;
        model.deliveries.set(id, { id, receiver, ...place });
      }
      return;
    }
    case 'take':
      return take(run, what.most, what.failingMost);
    case 'record':
      return record(run, what);
    case 'pass':
      model.now += what.ms;
      return bench.pass(what.ms);
    case 'replay':
      return replay(run, what.picks);
    case 'disable':
      if (endpoint === undefined) return;
      await bench.endpoint({ id: endpoint, state: 'disabled', reason: 'by_hand', disabledAt: Date.now() });
      model.receiver(endpoint).state = 'disabled';
      return;
    case 'enable': {
      if (endpoint === undefined) return;
      await bench.endpoint({ id: endpoint, state: 'enabled' });
      const receiver = model.receiver(endpoint);
      if (receiver.state === 'disabled') Object.assign(receiver, { failing: false, failingSince: undefined });
      receiver.state = 'enabled';
      return;
    }
    case 'delete':
      if (endpoint === undefined) return;
      await bench.remove(endpoint);
      model.delete(endpoint);
      Object.assign(model.receiver(endpoint), { failing: false, failingSince: undefined });
      return;
    case 'sweep': {
      await bench.store.sweep(Date.now() - LONG_MS / 2);
      for (const one of [...model.deliveries.values()]) if (one.madeAt < model.now) model.deliveries.delete(one.id);
      // With its last delivery all is forgotten that is known of it.
      for (const [id, receiver] of model.receivers)
        if (id.startsWith('url_') && ![...model.deliveries.values()].some((one) => one.receiver === id))
          Object.assign(receiver, { failing: false, failingSince: undefined });
    }
  }
}

async function play(steps: readonly Step[]): Promise<number> {
  await using bench = await openWebhookBench();
  const model = createWebhookModel();
  const targets = [await bench.endpoint(), await bench.endpoint(), await bench.endpoint(), OWN];
  for (const target of targets) model.receiver(bench.delivery(target).receiver);
  const run: Run = { bench, model, targets, flights: [], sent: 0 };
  for (const each of steps) {
    await step(run, each);
    await expectDeliveriesInOrder(bench, model);
  }
  // Whatever happened: what is left can be sent, and then forgotten without a trace.
  for (const target of targets)
    if (typeof target === 'string') await step(run, { do: 'enable', which: targets.indexOf(target) });
  await step(run, { do: 'pass', ms: LONG_MS });
  for (let round = 0; [...model.deliveries.values()].some(({ status }) => status === 'pending'); round++) {
    if (round > 100) throw new Error('deliveries are left that nobody can take');
    const before = run.flights.length;
    await take(run, 100, 100);
    for (let i = run.flights.length - before - 1; i >= 0; i--)
      await record(run, { do: 'record', flight: i, verdict: 'ok', waitMs: undefined });
    await expectDeliveriesInOrder(bench, model);
  }
  for (const target of targets) if (typeof target === 'string') await bench.remove(target);
  await bench.pass(LONG_MS);
  await bench.store.sweep(Date.now());
  const left = (await allKeys(bench.redis, bench.prefix)).map((key) => key.slice(bench.prefix.length));
  const expected = ['delivery-leases', 'endpoints:acme', 'generation', 'live', 'outbox', 'ratios', 'told'];
  expect(left.filter((key) => !expected.includes(key))).toEqual([]);
  return run.sent;
}

describe('deliveries are where they belong, and nobody who is to be sent something is forgotten', () => {
  it(
    'whatever happens to them and to their receivers',
    async () => {
      let sent = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(anyStep, { minLength: 10, maxLength: 60 }), async (steps) => {
          sent += await play(steps);
        }),
        { numRuns: RUNS },
      );
      expect(sent).toBeGreaterThan(5 * RUNS);
    },
    2000 * RUNS + 60_000,
  );
});
