import { readFile } from 'node:fs/promises';
import { CREDIT_TRANSITIONS } from '@renderyard/shared/credits/credit-state';
import { describe, expect, it } from 'vitest';
import { type Bench, COST, openBench, TRIAL_MS } from './bench.ts';

const FLOOR = 10 * COST;
const LOW = 30 * COST;
const RESUME = 50 * COST;
/** Beyond this nobody waits any more for an image that was not asked for again. */
const ASKED_MS = 15_001;
const spent = (cost: number) => ({ kind: 'spent', cost }) as const;
const refused = {
  status: 'queued',
  settlement: { kind: 'released' },
  refusal: { hold: 'credits', detail: 'Refused.' },
} as const;

/** What happens to an account: `low` is CREDIT_LOW, everything is asked for above {@link FLOOR}. */
async function account(low: number) {
  const bench = await openBench();
  await bench.ledger.meetUpstream('one', { floor: FLOOR, low, resume: RESUME });
  const thresholds = { floor: FLOOR, resume: RESUME };
  return {
    ...bench,
    read: (value: number | undefined) => bench.balance(value, thresholds),
    ask: async (estimate = COST) => bench.ask(await bench.job(), { floor: FLOOR, estimate }),
    call: () => bench.call({ floor: FLOOR }),
    /** One image may be made, and another waits until the first has ended. */
    async drain() {
      await bench.balance(FLOOR + COST, thresholds);
      const call = await bench.call({ floor: FLOOR });
      const waiting = await bench.job();
      expect(await bench.ask(waiting, { floor: FLOOR })).toMatchObject({ verdict: 'wait', reason: 'drain' });
      return { call, waiting };
    },
    async refuseThrice() {
      for (let i = 0; i < 3; i++) await bench.end(await bench.call({ floor: FLOOR }), refused);
    },
    async render() {
      await bench.pass(TRIAL_MS);
      await bench.end(await bench.call({ floor: FLOOR }));
    },
  };
}
type Account = Awaited<ReturnType<typeof account>>;

const MUCH = 100 * COST;
const LITTLE = 29 * COST;
const start = { much: (it: Account) => it.read(MUCH), little: (it: Account) => it.read(LITTLE) };

/** Ways through the states, each with what CREDIT_LOW is; together they are all there are. */
const WAYS: readonly (readonly [way: string, low: number, does: (it: Account) => Promise<unknown>])[] = [
  ['open low below_low, low open recovered', LOW, async (it) => [await start.little(it), await it.read(RESUME)]],
  [
    'open low below_low',
    LOW,
    async (it) => [await start.much(it), await it.end(await it.call(), { settlement: spent(71 * COST) })],
  ],
  [
    'open low below_low, low open upstream_changed',
    LOW,
    async (it) => [
      await start.little(it),
      await it.ledger.meetUpstream('two', { floor: FLOOR, low: LOW, resume: RESUME }),
    ],
  ],
  [
    'open draining floor_near, draining open enough',
    0,
    async (it) => {
      const { call, waiting } = await it.drain();
      await it.end(call, { settlement: spent(0) });
      expect(await it.redis.hget(`${it.prefix}credits`, 'state')).toBe('draining');
      await it.call();
      expect(waiting).toBeDefined();
    },
  ],
  ['open draining floor_near, draining open enough', 0, async (it) => [await it.drain(), await it.read(MUCH)]],
  [
    'open draining floor_near, draining open not_asked',
    0,
    async (it) => [await it.drain(), await it.pass(ASKED_MS), await it.ledger.reap(TRIAL_MS)],
  ],
  [
    'open draining floor_near, draining open upstream_changed',
    0,
    async (it) => [await it.drain(), await it.ledger.meetUpstream('two', { floor: FLOOR, low: 0, resume: 0 })],
  ],
  [
    'open low below_low, low draining floor_near, draining low enough',
    LOW,
    async (it) => [await it.drain(), await it.read(LITTLE)],
  ],
  [
    'open low below_low, low draining floor_near, draining low not_asked',
    LOW,
    async (it) => [await it.drain(), await it.pass(ASKED_MS), await it.ledger.reap(TRIAL_MS)],
  ],
  [
    'open draining floor_near, draining held floor_reached, held open enough',
    0,
    async (it) => {
      const { call, waiting } = await it.drain();
      await it.end(call);
      expect(await it.ask()).toEqual({ verdict: 'probe' });
      await it.read(FLOOR);
      expect(await it.ask()).toMatchObject({ verdict: 'hold', name: 'credits' });
      await it.jobs.cancel(waiting);
      await it.read(RESUME - 1);
      await it.read(RESUME);
    },
  ],
  [
    'open draining floor_near, draining held refused',
    0,
    async (it) => [await it.drain(), await it.ledger.setHold('credits', 'Refused.')],
  ],
  [
    'open draining floor_near, draining held balance_unread, held open upstream_changed',
    0,
    async (it) => {
      await it.drain();
      await it.ledger.setHold('credits', 'Unread.', { unread: true });
      await it.ledger.meetUpstream('two', { floor: FLOOR, low: 0, resume: 0 });
    },
  ],
  [
    'open held refused, held open rendered',
    LOW,
    async (it) => [await start.much(it), await it.refuseThrice(), await it.render()],
  ],
  [
    'open held balance_unread, held open enough',
    LOW,
    async (it) => [await it.read(undefined), await it.ask(), await it.read(MUCH)],
  ],
  [
    'open low below_low, low held refused, held low rendered',
    LOW,
    async (it) => [await start.little(it), await it.refuseThrice(), await it.render()],
  ],
  [
    'open low below_low, low held balance_unread, held low enough',
    LOW,
    async (it) => [
      await start.little(it),
      await it.ledger.setHold('credits', 'Unread.', { unread: true }),
      await start.little(it),
    ],
  ],
];

const changes = async (it: Pick<Bench, 'ledger'>) =>
  (await it.ledger.events({ limit: 1000 })).map(({ from, to, cause }) => `${from} ${to} ${cause}`).reverse();

describe('the state of credits', () => {
  it('goes every way that is listed, and no other', { timeout: 60_000 }, async () => {
    const gone = new Set<string>();
    for (const [way, low, does] of WAYS) {
      await using bench = await account(low);
      await does(bench);
      const went = await changes(bench);
      expect(went.join(', ')).toBe(way);
      for (const change of went) gone.add(change);
    }
    const listed = CREDIT_TRANSITIONS.flatMap(({ from, to, causes }) =>
      causes.map((cause) => `${from} ${to} ${cause}`),
    );
    expect([...gone].sort()).toEqual([...listed].sort());
  });

  it('is draining as long as somebody asks', async () => {
    await using bench = await account(0);
    await bench.drain();
    for (let i = 0; i < 4; i++) {
      await bench.pass(ASKED_MS - 5000);
      await bench.ledger.reap(TRIAL_MS);
      expect((await bench.books()).state).toBe('draining');
      expect(await bench.ask()).not.toMatchObject({ verdict: 'go' });
    }
  });

  it('stays held while a trial has to wait for calls in flight, and nobody waits any more after it', async () => {
    await using bench = await account(0);
    await bench.read(FLOOR + COST);
    const call = await bench.call();
    await bench.ledger.setHold('credits', 'Refused.', { trialMs: 0 });
    expect(await bench.ask(3 * COST)).toMatchObject({ verdict: 'wait', reason: 'drain' });
    expect((await bench.books()).state).toBe('held');
    await bench.end(call);
    expect(await changes(bench)).toEqual(['open held refused', 'held open rendered']);
  });

  it('is held on for the better reason when the balance cannot be read either', async () => {
    await using bench = await account(0);
    await bench.read(FLOOR);
    expect(await bench.ask()).toMatchObject({ verdict: 'hold' });
    expect(await bench.ledger.setHold('credits', 'Unread.', { unread: true })).toBe(false);
    expect(await bench.read(FLOOR + COST)).toEqual({ released: false });
    expect(await bench.read(RESUME)).toEqual({ released: true });
  });

  it('stays held after a refusal that no balance explains, until an image is rendered', async () => {
    await using bench = await account(0);
    await start.much(bench);
    await bench.refuseThrice();
    expect(await start.much(bench)).toEqual({ released: false });
    expect((await bench.books()).state).toBe('held');
    await bench.render();
    expect((await bench.books()).state).toBe('open');
  });

  it('is listed for Redis as it is for readers', async () => {
    const lua = await readFile(new URL('../../packages/shared/src/credits/states.lua', import.meta.url), 'utf8');
    const table = /^local TRANSITIONS = \{\n(?<lines>.*?)^\}/ms.exec(lua)?.groups?.lines ?? '';
    const inLua = [...table.matchAll(/\['(\w+) (\w+)'\] = \{(.*?)\}/g)].map(([, from, to, causes = '']) => ({
      from,
      to,
      causes: [...causes.matchAll(/'(\w+)'/g)].map(([, cause]) => cause),
    }));
    expect(inLua).toEqual(CREDIT_TRANSITIONS);
  });
});
