import { randomBytes } from 'node:crypto';
import { systemClock } from '@renderyard/shared/clock';
import { createLogger } from '@renderyard/shared/logger';
import { findDifferences, findDisagreements } from '@renderyard/shared/roster/disagreement';
import { createRoster } from '@renderyard/shared/roster/roster';
import { fingerprint, type RosterEntry, type RosterProcess } from '@renderyard/shared/roster/roster-entry';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { describe, expect, inject, test } from 'vitest';
import { allKeys } from '../redis/keys.ts';

const entryOf = (entry: Partial<RosterEntry> = {}): RosterEntry => ({
  ...{ service: 'worker', host: 'here', pid: 1, version: '1.0.0', state: 1 },
  agreed: { store: 's', SECRET_KEY: 'a', WEBHOOK_SECRET: 'none' },
  settings: { SEGMIND_RPM: '60' },
  ...entry,
});
const processOf = (id: string, since: number, entry: Partial<RosterEntry> = {}): RosterProcess => ({
  id,
  since,
  entry: entryOf(entry),
});

describe('who disagrees', () => {
  test('is told of with each setting, and with the oldest process that knows it', () => {
    const oldest = processOf('a', 1, { agreed: { SECRET_KEY: 'a' } });
    const middle = processOf('b', 2, { agreed: { SECRET_KEY: 'b', store: 's' } });
    const own = processOf('c', 3, { agreed: { SECRET_KEY: 'b', store: 't', WEBHOOK_SECRET: 'x' } });
    expect(findDisagreements(own, [middle, oldest])).toEqual([
      { setting: 'store', with: middle },
      { setting: 'SECRET_KEY', with: oldest },
    ]);
    expect(findDisagreements(oldest, [middle, own])).toEqual([]);
  });

  test('is never the oldest, whoever comes later, and of two that differ one', () => {
    const processes = fc.uniqueArray(
      fc.record({ id: fc.string(), since: fc.nat(5), key: fc.constantFrom('a', 'b', 'c') }),
      { minLength: 1, selector: ({ id }) => id },
    );
    fc.assert(
      fc.property(processes, (given) => {
        const all = given.map(({ id, since, key }) => processOf(id, since, { agreed: { SECRET_KEY: key } }));
        const agree = all.filter(
          (each) =>
            findDisagreements(
              each,
              all.filter((other) => other !== each),
            ).length === 0,
        );
        expect(agree.length).toBeGreaterThan(0);
        expect(new Set(agree.map(({ entry }) => entry.agreed.SECRET_KEY)).size).toBe(1);
        expect(Math.min(...agree.map(({ since }) => since))).toBe(Math.min(...all.map(({ since }) => since)));
      }),
    );
  });

  test('about what had better be alike is a worker, and only against older ones', () => {
    const own = processOf('b', 2, { settings: { SEGMIND_RPM: '60' } });
    const other = processOf('a', 1, { settings: { SEGMIND_RPM: '90', NEW: '1' } });
    expect(findDifferences(own, [other])).toEqual([{ setting: 'SEGMIND_RPM', value: '60', theirs: '90', with: other }]);
    expect(findDifferences(other, [own])).toEqual([]);
    expect(findDifferences(own, [{ ...other, entry: { ...other.entry, service: 'api' } }])).toEqual([]);
  });
});

test('a fingerprint tells equal secrets from others, and not the secret', () => {
  const secret = randomBytes(32);
  expect(fingerprint(secret)).toBe(fingerprint(Buffer.from(secret)));
  expect(fingerprint(secret)).not.toBe(fingerprint(randomBytes(32)));
  expect(fingerprint('whsec_x')).toMatch(/^[\w-]{16}$/);
});

/** Of two processes that come in the same millisecond the older is the one with the lower id: here none do. */
async function clockTicks(redis: Redis): Promise<void> {
  const now = async () => {
    const [seconds = 0, micros = 0] = (await redis.time()).map(Number);
    return seconds * 1000 + Math.floor(micros / 1000);
  };
  const before = await now();
  while ((await now()) === before);
}

async function openRoster() {
  const redis = new Redis(inject('redisUrl'));
  const prefix = `{roster-${randomBytes(6).toString('hex')}}:`;
  const logs: Record<string, unknown>[] = [];
  const logger = createLogger({
    service: 'test',
    level: 'info',
    destination: { write: (line: string) => void logs.push(JSON.parse(line)) },
  });
  const rosters: ReturnType<typeof createRoster>[] = [];
  /** A clock on which waiting takes a tenth of the time that passes. */
  const clock = {
    now: () => systemClock.now() * 10,
    sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms / 10, signal),
  };
  return {
    redis,
    prefix,
    logs,
    /** What it tells is read anew each time. */
    join: async (id: string, entry: Partial<RosterEntry> = {}) => {
      await clockTicks(redis);
      const roster = createRoster({ redis, prefix, id, entry: () => entryOf(entry), clock, logger });
      rosters.push(roster);
      await roster.start();
      return roster;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(rosters.map((roster) => roster.stop()));
      const left = await allKeys(redis, prefix);
      if (left.length > 0) await redis.del(...left);
      await redis.quit();
    },
  };
}

describe('a roster', () => {
  test('knows who is there, and forgets who goes at once', async () => {
    await using bench = await openRoster();
    const api = await bench.join('api_1', { service: 'api' });
    const worker = await bench.join('wrk_1', { state: 0 });
    expect(await worker.olderThan(1)).toBe(1);
    expect(await api.olderThan(1)).toBe(1);
    await worker.stop();
    expect(await api.olderThan(1)).toBe(0);
  });

  test('names the setting and the process that a newcomer differs from, once in the log, and ends its wait when it agrees', async () => {
    await using bench = await openRoster();
    const first = await bench.join('wrk_1');
    const agreed: RosterEntry['agreed'] = { store: 's', SECRET_KEY: 'another', WEBHOOK_SECRET: 'none' };
    const second = await bench.join('wrk_2', { agreed, settings: { SEGMIND_RPM: '30' } });
    expect(first.check()).toMatchObject({ name: 'settings', ok: true });
    expect(second.check()).toEqual({
      name: 'settings',
      ok: false,
      detail:
        'SECRET_KEY is another than that of the worker wrk_1, which has been here longer. Give all processes the same, and start this one again.',
    });
    expect([second.disagreesOn('store'), second.disagreesOn('SECRET_KEY')]).toEqual([false, true]);
    await second.agreedOn(['store'], AbortSignal.timeout(1));
    let agrees = false;
    const waiting = second.agreedOn(['SECRET_KEY'], new AbortController().signal).then(() => {
      agrees = true;
    });
    // An emptied Redis is no reason to believe that the other has gone.
    await bench.redis.del(`${bench.prefix}roster`);
    await second.olderThan(1);
    expect([agrees, second.disagreesOn('SECRET_KEY')]).toEqual([false, true]);
    await first.stop();
    await waiting;
    expect(second.check().ok).toBe(true);
    expect(bench.logs.filter(({ level }) => level === 50)).toHaveLength(1);
    expect(bench.logs.filter(({ level }) => level === 40)).toEqual([
      expect.objectContaining({
        setting: 'SEGMIND_RPM',
        value: '30',
        theirs: '60',
        other: expect.objectContaining({ process: 'wrk_1' }),
      }),
    ]);
  });

  test('has a process that does not know its own store yet wait where another knows one, and not where nobody does', async () => {
    await using bench = await openRoster();
    const SECRET_KEY = 'a';
    const lone = await bench.join('wrk_1', { agreed: { SECRET_KEY } });
    await lone.agreedOn(['store', 'SECRET_KEY'], AbortSignal.timeout(60_000));
    const knowing = await bench.join('wrk_2');
    const late: { agreed: RosterEntry['agreed'] } = { agreed: { SECRET_KEY } };
    const unsure = await bench.join('wrk_3', late);
    let agrees = false;
    const waiting = unsure.agreedOn(['store'], new AbortController().signal).then(() => {
      agrees = true;
    });
    await unsure.agreedOn(['SECRET_KEY'], AbortSignal.timeout(60_000));
    // Long enough for it to have looked several times.
    for (let beats = 0; beats < 3; beats++) await unsure.agreedOn(['store'], AbortSignal.timeout(200));
    expect([agrees, unsure.disagreesOn('store')]).toEqual([false, false]);
    late.agreed = { SECRET_KEY, store: 'another' };
    await unsure.agreedOn(['store'], AbortSignal.timeout(200));
    expect([agrees, unsure.disagreesOn('store')]).toEqual([false, true]);
    await knowing.stop();
    await waiting;
  });

  test('refuses a process whose store is another than that of Redis, whoever is gone, also where Redis is emptied, until somebody takes its word back', async () => {
    await using bench = await openRoster();
    const SECRET_KEY = 'a';
    const never = new AbortController().signal;
    await bench.redis.set(`${bench.prefix}generation`, 'v1.x');
    const first = await bench.join('wrk_1', { agreed: { SECRET_KEY, store: 'old' } });
    await first.stop();
    const other = await bench.join('wrk_2', { agreed: { SECRET_KEY, store: 'new' } });
    const unsure = await bench.join('wrk_3', { agreed: { SECRET_KEY } });
    expect(other.check()).toMatchObject({
      ok: false,
      detail: expect.stringMatching(/^Redis belongs to another store\. Start with that store again/),
    });
    expect([other, unsure].map((roster) => roster.disagreesOn('store'))).toEqual([true, false]);
    expect(['new', 'old', undefined].map(unsure.hasNoOtherStoreThan)).toEqual([false, false, false]);
    await unsure.stop();
    expect(['new', 'old', undefined].map(other.hasNoOtherStoreThan)).toEqual([false, true, false]);
    const told = () => bench.logs.filter(({ level }) => Number(level) > 30);
    expect(told()).toEqual([expect.objectContaining({ level: 50, store: 'new', store_of_redis: 'old' })]);

    // An emptied Redis has forgotten it. This process has not, and does not rebuild it.
    await bench.redis.del(`${bench.prefix}store`, `${bench.prefix}generation`);
    await other.olderThan(1);
    expect(other.disagreesOn('store')).toBe(true);
    // Without a word about it, and with a mark, it is that of who comes first.
    const agreed = other.agreedOn(['store'], never);
    await bench.redis.set(`${bench.prefix}generation`, 'v1.x');
    await agreed;
    expect([other.check().ok, await bench.redis.get(`${bench.prefix}store`)]).toEqual([true, 'new']);
    expect(told()).toHaveLength(1);
  });

  test('believes Redis about the store, not the process that has been there longest', async () => {
    await using bench = await openRoster();
    await bench.redis.set(`${bench.prefix}generation`, 'v1.x');
    const frozen = await bench.join('wrk_1', { agreed: { store: 'old' } });
    await bench.redis.set(`${bench.prefix}store`, 'new');
    const other = await bench.join('wrk_2', { agreed: { store: 'new' } });
    await frozen.olderThan(1);
    expect([frozen, other].map((roster) => roster.disagreesOn('store'))).toEqual([true, false]);
    expect(frozen.check().detail).toMatch(/^The store is another than that of the worker wrk_2, /);
  });

  test('leaves Redis to the store of the process that has been there longest', async () => {
    await using bench = await openRoster();
    await bench.redis.set(`${bench.prefix}generation`, 'v1.x');
    const first = await bench.join('wrk_1', { agreed: { store: 'old' } });
    const other = await bench.join('wrk_0', { agreed: { store: 'new' } });
    await bench.redis.del(`${bench.prefix}store`);
    await other.olderThan(1);
    expect(await bench.redis.get(`${bench.prefix}store`)).toBeNull();
    await first.olderThan(1);
    expect(await bench.redis.get(`${bench.prefix}store`)).toBe('old');
    expect([first.check().ok, other.check().ok]).toEqual([true, false]);
  });

  test('says nothing of a Redis without a mark: it is rebuilt first, and has the store that it was rebuilt from', async () => {
    await using bench = await openRoster();
    await bench.join('wrk_1', { agreed: { store: 'new' } });
    expect(await bench.redis.get(`${bench.prefix}store`)).toBeNull();
  });

  test('keeps since when a process is there through a Redis that was emptied', async () => {
    await using bench = await openRoster();
    const first = await bench.join('wrk_z');
    const agreed: RosterEntry['agreed'] = { SECRET_KEY: 'another' };
    const second = await bench.join('wrk_a', { agreed });
    await bench.redis.del(`${bench.prefix}roster`);
    // The other is there first.
    await second.olderThan(1);
    await first.olderThan(1);
    await second.olderThan(1);
    expect([first.check().ok, second.check().ok]).toEqual([true, false]);
  });
});
