import { GenerationLostError } from '@renderyard/shared/redis/script';
import type { Store } from '@renderyard/shared/store/store';
import { StoreError } from '@renderyard/shared/store/store-error';
import type { Migration } from '@renderyard/shared/upgrade/migrations';
import { newMark } from '@renderyard/shared/upgrade/state-version';
import { STORE_VERSION_KEY } from '@renderyard/shared/upgrade/store-version';
import { VERSION } from '@renderyard/shared/version';
import { describe, expect, test } from 'vitest';
import { openYard } from '../recovery/yard.ts';
import { contents } from '../redis/keys.ts';
import { storeBatch } from '../support/stored-batch.ts';

type Yard = Awaited<ReturnType<typeof openYard>>;

const generationOf = (yard: Yard) => yard.redis.get(`${yard.prefix}generation`);
const holdOf = (yard: Yard) => yard.redis.hget(`${yard.prefix}holds`, 'upgrade');
const loses = (yard: Yard) => yard.redis.del(`${yard.prefix}rebuild:lock`);

async function readVersion(store: Store): Promise<Record<string, unknown> | undefined> {
  const object = await store.get(STORE_VERSION_KEY);
  return object === undefined ? undefined : JSON.parse(Buffer.concat(await object.body.toArray()).toString());
}

const write = (store: Store, key: string, text: string) =>
  store.put(key, Buffer.from(text), { contentType: 'application/json' });

/** Data as it was before it had a version, with a batch. */
async function openOldYard() {
  const yard = await openYard();
  await yard.redis.set(`${yard.prefix}generation`, 'Zb4x_unversioned');
  await yard.redis.hset(`${yard.prefix}credits`, 'balance', '5000');
  return yard;
}

/** Data of today's version. */
async function openYardOfToday() {
  const yard = await openYard();
  const today = yard.openProcess();
  await today.recovery.ensure();
  return { yard, today };
}

/** The next version, whose migration counts what it does. */
function nextVersion(within: { store?: () => Promise<void>; redis?: () => Promise<void> } = {}) {
  const did: string[] = [];
  const migrations: readonly Migration[] = [
    { to: 1 },
    {
      to: 2,
      store: async ({ store }) => {
        await write(store, 'migrated/1', '{}');
        await within.store?.();
        await write(store, 'migrated/2', '{}');
        did.push('store');
      },
      redis: async ({ redis, prefix }) => {
        await redis.set(`${prefix}migrated`, '1');
        await within.redis?.();
        await redis.set(`${prefix}migrated`, '2');
        did.push('redis');
      },
    },
  ];
  return { did, migrations };
}

/** Something that is waited for, and hangs there until it is let go. */
function gate() {
  let reached = () => {};
  let open = () => {};
  const isReached = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const isOpen = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    isReached,
    open: () => open(),
    wait: async () => {
      reached();
      await isOpen;
    },
  };
}

describe('a new Redis and an empty store', () => {
  test('are of this version from the beginning, and say who made them', async () => {
    await using yard = await openYard();
    const { recovery } = yard.openProcess();
    await recovery.ensure();
    expect(await generationOf(yard)).toMatch(/^v1\.[\w-]{16}$/);
    expect(await readVersion(yard.store)).toEqual({
      state_version: 1,
      id: expect.stringMatching(/^[\w-]{16}$/),
      written_by: VERSION,
      written_at: expect.any(String),
    });
    expect(recovery.storeId).toBe((await readVersion(yard.store))?.id);
  });

  test('get one id of the store, whoever starts first and however often', async () => {
    await using yard = await openYard();
    const processes = Array.from({ length: 4 }, () => yard.openProcess());
    await Promise.all(processes.map(({ recovery }) => recovery.ensure()));
    await Promise.all(processes.map(({ recovery }) => yard.until('it is known', () => recovery.storeId !== undefined)));
    expect(new Set(processes.map(({ recovery }) => recovery.storeId)).size).toBe(1);
    const before = await readVersion(yard.store);
    await yard.openProcess().recovery.ensure();
    expect(await readVersion(yard.store)).toEqual(before);
  });
});

describe('data from before there were versions', () => {
  test('is marked, and otherwise left as it is', async () => {
    await using yard = await openOldYard();
    const { record } = await storeBatch(yard.store);
    const { recovery, generation } = yard.openProcess();
    await recovery.ensure();
    expect(generation.current).toMatch(/^v1\./);
    expect(await generationOf(yard)).toBe(generation.current);
    expect(await yard.redis.hgetall(`${yard.prefix}credits`)).toEqual({ balance: '5000' });
    expect(await holdOf(yard)).toBeNull();
    expect(await yard.redis.exists(`${yard.prefix}rebuild:lock`)).toBe(0);
    expect(await readVersion(yard.store)).toMatchObject({ state_version: 1 });
    // It was no rebuild: Redis knows what it knew.
    expect(await yard.redis.exists(`${yard.prefix}batch:${record.id}`)).toBe(0);
  });

  test('is upgraded by one of many that start at once', async () => {
    await using yard = await openOldYard();
    const processes = Array.from({ length: 4 }, () => yard.openProcess());
    await Promise.all(processes.map(({ recovery }) => recovery.ensure()));
    expect(new Set(processes.map(({ generation }) => generation.current)).size).toBe(1);
    expect(yard.logs.filter(({ msg }) => String(msg).includes('was upgraded'))).toHaveLength(1);
  });

  test('is not touched as long as the store cannot say of which version it is', async () => {
    await using yard = await openOldYard();
    let away = true;
    const store: Store = {
      ...yard.store,
      get: async (key, options) => {
        if (away) throw new StoreError('unavailable', 'The store is away.');
        return yard.store.get(key, options);
      },
    };
    const { recovery } = yard.openProcess(undefined, store);
    const before = await contents(yard.redis, yard.prefix);
    await expect(recovery.ensure()).rejects.toThrow('The store is away.');
    expect(await contents(yard.redis, yard.prefix)).toEqual(before);
    away = false;
    await recovery.ensure();
    expect(await generationOf(yard)).toMatch(/^v1\./);
  });
});

describe('an upgrade', () => {
  test('holds all work, and takes the mark away only when no call is in flight', async () => {
    const { yard, today } = await openYardOfToday();
    await using _ = yard;
    const before = today.generation.current;
    await yard.redis.zadd(`${yard.prefix}slots`, Date.now() + 60_000, 'call_1');
    const { did, migrations } = nextVersion();
    const next = yard.openProcess(undefined, yard.store, { stateVersion: 2, migrations });
    const upgraded = next.recovery.ensure();
    await yard.until('it waits', () => yard.logs.some(({ msg }) => String(msg).includes('calls in flight')));
    expect(JSON.parse((await holdOf(yard)) ?? '')).toMatchObject({ detail: expect.stringContaining('version 2') });
    expect(await generationOf(yard)).toBe(before);
    expect(await today.generation.find()).toBe('known');
    expect(next.recovery.rebuilding).toBe(true);
    expect(did).toEqual([]);
    // A lease that ran out is that of a dead worker; the call is found by whoever reaps it.
    await yard.redis.zadd(`${yard.prefix}slots`, Date.now() - 1, 'call_1');
    await upgraded;
    expect(did).toEqual(['store', 'redis']);
    expect(await generationOf(yard)).toMatch(/^v2\.[\w-]+$/);
    expect(await holdOf(yard)).toBeNull();
    expect(await readVersion(yard.store)).toMatchObject({ state_version: 2 });
    expect(await readVersion(yard.store)).not.toHaveProperty('upgrading_to');
    expect(await yard.redis.zrange(`${yard.prefix}slots`, '0', '-1')).toEqual(['call_1']);
  });

  test('is waited for by processes of its version, and ends those of the version before', async () => {
    const { yard, today } = await openYardOfToday();
    await using _ = yard;
    today.recovery.watch();
    const stop = gate();
    const { migrations } = nextVersion({ store: stop.wait });
    const one = yard.openProcess(undefined, yard.store, { stateVersion: 2, migrations });
    const other = yard.openProcess(undefined, yard.store, { stateVersion: 2, migrations });
    const both = Promise.all([one.recovery.ensure(), other.recovery.ensure()]);
    await stop.isReached;
    await yard.until('the old one has noticed', () => today.refused.length > 0);
    expect(today.refused[0]?.message).toBe(
      `Redis holds data of version 2, written by Renderyard ${VERSION}; this is Renderyard ${VERSION}, which knows versions up to 1. ` +
        `It has changed nothing. Start Renderyard ${VERSION} or a newer one here.`,
    );
    expect(today.recovery.rebuilding).toBe(true);
    await expect(today.states.takeFlush(1000)).rejects.toThrow('Redis was emptied or replaced');
    expect([one, other].map(({ generation }) => generation.known)).toEqual([undefined, undefined]);
    stop.open();
    await both;
    expect(one.generation.current).toBe(other.generation.current);
    expect(today.refused).toHaveLength(1);
  });

  test('waits until processes of the version before are gone, before it changes anything', async () => {
    const { yard } = await openYardOfToday();
    await using _ = yard;
    let there = 1;
    const { did, migrations } = nextVersion();
    const olderProcesses = async () => there;
    const next = yard.openProcess(undefined, yard.store, { stateVersion: 2, migrations, olderProcesses });
    const upgraded = next.recovery.ensure();
    await yard.until('the mark is taken', async () => (await generationOf(yard))?.startsWith('v2.from1.') === true);
    expect(did).toEqual([]);
    there = 0;
    await upgraded;
    expect(did).toEqual(['store', 'redis']);
  });

  test.for([
    ['calls end', []],
    ['older processes leave', []],
    ['store', []],
    ['store to 2', []],
    ['within the store', ['store']],
    ['store migrated', ['store']],
    ['redis to 2', ['store']],
    ['within redis', ['store', 'redis']],
    ['mark', ['store', 'redis']],
  ] as const)(
    'that dies at “%s” is done by the next process, and does not go on when it wakes up',
    async ([at, done]) => {
      const { yard, today } = await openYardOfToday();
      await using _ = yard;
      const stop = gate();
      const waitAt = (step: string) => (step === at ? stop.wait() : Promise.resolve());
      const first = nextVersion({ store: () => waitAt('within the store'), redis: () => waitAt('within redis') });
      const dying = yard.openProcess(undefined, yard.store, {
        ...{ stateVersion: 2, migrations: first.migrations, onStep: waitAt },
      });
      const broken = dying.recovery.ensure().catch((error: unknown) => error);
      await stop.isReached;
      const mark = await generationOf(yard);
      expect(mark).toMatch(at === 'calls end' ? /^v1\./ : /^v2\.from1\./);
      // The version before never goes on with what is half done, not even with an emptied Redis.
      const begun = !['calls end', 'older processes leave', 'store', 'store to 2'].includes(at);
      const old = yard.openProcess();
      const started = old.recovery.ensure();
      if (at === 'calls end') await started;
      else await expect(started).rejects.toThrow('Redis holds data of version 2');
      await loses(yard);
      if (begun) {
        const half = await readVersion(yard.store);
        if (at !== 'store migrated') expect(half).toMatchObject(at === 'within the store' ? { upgrading_to: 2 } : {});
      }
      const second = nextVersion();
      const next = yard.openProcess(undefined, yard.store, { stateVersion: 2, migrations: second.migrations });
      await next.recovery.ensure();
      const after = await contents(yard.redis, yard.prefix);
      expect(after[`${yard.prefix}generation`]).toMatch(/^v2\.[\w-]+$/);
      expect(after[`${yard.prefix}migrated`]).toBe('2');
      expect(after).not.toHaveProperty([`${yard.prefix}holds`]);
      const stored = await readVersion(yard.store);
      expect(stored).toMatchObject({ state_version: 2 });
      expect(stored).not.toHaveProperty('upgrading_to');
      expect(await yard.store.head('migrated/2')).toBeDefined();
      // A migration that it was in is the last thing that it does, to data that has been migrated.
      stop.open();
      expect(await broken).toBeInstanceOf(GenerationLostError);
      expect(first.did).toEqual(done);
      expect((await contents(yard.redis, yard.prefix))[`${yard.prefix}generation`]).toBe(next.generation.current);
      expect(await readVersion(yard.store)).toMatchObject({ state_version: 2 });
      expect(today.recovery.storeId).toBe(stored?.id);
    },
  );

  test('whose Redis is emptied half-way is a rebuild by the new version, and none by the old one', async () => {
    const { yard } = await openYardOfToday();
    await using _ = yard;
    const { record } = await storeBatch(yard.store);
    const stop = gate();
    const first = nextVersion({ store: stop.wait });
    const dying = yard.openProcess(undefined, yard.store, { stateVersion: 2, migrations: first.migrations });
    const broken = dying.recovery.ensure().catch((error: unknown) => error);
    await stop.isReached;
    await yard.empty();
    const old = yard.openProcess();
    await expect(old.recovery.ensure()).rejects.toThrow('The store holds data of version 2');
    expect(old.refused).toHaveLength(1);
    const { did, migrations } = nextVersion();
    const next = yard.openProcess(undefined, yard.store, { stateVersion: 2, migrations });
    await next.recovery.ensure();
    expect(did).toEqual(['store']);
    expect(await next.states.get(record.id)).toMatchObject({ status: 'running' });
    expect(await generationOf(yard)).toMatch(/^v2\.[\w-]+$/);
    stop.open();
    await broken;
  });

  test('whose store hangs as it is written to ends with its process, or when another has taken over', async () => {
    for (const end of ['stop', 'lose'] as const) {
      const { yard } = await openYardOfToday();
      await using _ = yard;
      const hang = gate();
      const store: Store = {
        ...yard.store,
        put: async (_key, _body, { signal }) => {
          const broken = new Promise<never>((_, reject) =>
            signal?.addEventListener('abort', () => reject(signal.reason as Error)),
          );
          await Promise.race([hang.wait(), broken]);
          return 'stored';
        },
      };
      const next = yard.openProcess(undefined, store, { stateVersion: 2, migrations: nextVersion().migrations });
      const broken = next.recovery.ensure().catch((error: unknown) => error);
      await hang.isReached;
      if (end === 'stop') {
        await next.recovery.stop();
        expect(await yard.redis.exists(`${yard.prefix}rebuild:lock`)).toBe(0);
      } else {
        await loses(yard);
        expect(await broken).toBeInstanceOf(GenerationLostError);
      }
      expect(await readVersion(yard.store)).toMatchObject({ state_version: 1 });
    }
  });

  test('that fails before it took the mark lets go of its hold, and work goes on', async () => {
    const { yard, today } = await openYardOfToday();
    await using _ = yard;
    const failing = yard.openProcess(undefined, yard.store, {
      ...{ stateVersion: 2, migrations: [], onStep: () => Promise.reject(new Error('No luck.')) },
    });
    await expect(failing.recovery.ensure()).rejects.toThrow('No luck.');
    expect(await holdOf(yard)).toBeNull();
    expect(await yard.redis.exists(`${yard.prefix}rebuild:lock`)).toBe(0);
    expect(await today.generation.find()).toBe('known');
  });
});

describe('data of a newer version', () => {
  test('in Redis is left as it is, and who wrote it is told', async () => {
    await using yard = await openYard();
    await yard.redis.mset(`${yard.prefix}generation`, newMark({ version: 7 }), `${yard.prefix}written_by`, '9.1.0');
    const before = await contents(yard.redis, yard.prefix);
    const { recovery, refused, generation } = yard.openProcess();
    await expect(recovery.ensure()).rejects.toThrow(
      'Redis holds data of version 7, written by Renderyard 9.1.0; this is Renderyard',
    );
    recovery.watch();
    await expect(recovery.ensure()).rejects.toThrow('Start Renderyard 9.1.0 or a newer one here.');
    expect(refused).toHaveLength(1);
    expect(generation.known).toBeUndefined();
    expect(recovery.rebuilding).toBe(true);
    expect(await contents(yard.redis, yard.prefix)).toEqual(before);
    expect(await readVersion(yard.store)).toBeUndefined();
  });

  test.for(['an empty Redis', 'a Redis of this version', 'a Redis from before'])(
    'in the store is left as it is with %s',
    async (with_) => {
      await using yard = await openYard();
      if (with_ === 'a Redis of this version')
        await yard.redis.set(`${yard.prefix}generation`, newMark({ version: 1 }));
      if (with_ === 'a Redis from before') await yard.redis.set(`${yard.prefix}generation`, 'unversioned');
      const version = { state_version: 3, id: 'abc', written_by: '4.0.0', written_at: '2030-01-01T00:00:00Z' };
      await write(yard.store, STORE_VERSION_KEY, JSON.stringify(version));
      await storeBatch(yard.store);
      const before = await contents(yard.redis, yard.prefix);
      const { recovery, refused } = yard.openProcess();
      await expect(recovery.ensure()).rejects.toThrow(
        'The store holds data of version 3, written by Renderyard 4.0.0; this is Renderyard',
      );
      expect(refused).toHaveLength(1);
      expect(await contents(yard.redis, yard.prefix)).toEqual(before);
      expect(await readVersion(yard.store)).toEqual(version);
    },
  );

  test('in a store that was away at the start is found when it is back', async () => {
    const { yard } = await openYardOfToday();
    await using _ = yard;
    await write(
      yard.store,
      STORE_VERSION_KEY,
      JSON.stringify({ state_version: 3, id: 'abc', written_by: '4.0.0', written_at: '2030-01-01T00:00:00Z' }),
    );
    let away = true;
    const store: Store = {
      ...yard.store,
      get: async (key, options) => {
        if (away) throw new StoreError('unavailable', 'The store is away.');
        return yard.store.get(key, options);
      },
    };
    const { recovery, refused } = yard.openProcess(undefined, store);
    await recovery.ensure();
    expect(recovery.rebuilding).toBe(false);
    expect(refused).toEqual([]);
    away = false;
    await yard.until('it is found', () => refused.length > 0);
    expect(refused[0]?.message).toContain('The store holds data of version 3');
  });
});

test('a store whose version nobody can read is no reason to stop a Redis of this version, and is told', async () => {
  const { yard } = await openYardOfToday();
  await using _ = yard;
  await write(yard.store, STORE_VERSION_KEY, 'no JSON');
  const { recovery } = yard.openProcess();
  await recovery.ensure();
  expect(recovery.rebuilding).toBe(false);
  expect(yard.logs).toContainEqual(
    expect.objectContaining({ level: 40, msg: expect.stringContaining('which version') }),
  );
});
