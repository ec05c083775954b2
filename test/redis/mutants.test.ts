import { loadLua } from '@renderyard/shared/redis/script';
import fc from 'fast-check';
import type { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { anyRun, play } from './credit-runs.ts';
import { FloorBrokenError } from './credit-truth.ts';

const CREDITS = new URL('../../packages/shared/src/credits/', import.meta.url);
/** Of so many runs from its seed on, which are the same each time, one finds what a mutant does to the floor. */
const RUNS = 10;

/** A rule of the scripts, switched off by putting one text in place of another, which stands in the file just once. */
interface Mutant {
  readonly what: string;
  readonly file: string;
  readonly find: string;
  readonly put: string;
  /** Looked for with MUTANT_SEEDS=1, which tries seeds from 1 on and says which is the first that finds it. */
  readonly seed: number;
}

const MUTANTS: readonly Mutant[] = [
  {
    what: 'the floor is not looked at before a call is granted',
    file: 'admit.lua',
    find: 'if left < estimate and',
    put: 'if false and',
    seed: 1,
  },
  {
    what: 'what calls in flight have reserved is not counted',
    file: 'admit.lua',
    find: "left = balance - (credits_number('reserved') or 0) -",
    put: 'left = balance -',
    seed: 1,
  },
  {
    what: 'what is uncertain is not counted',
    file: 'admit.lua',
    find: "- (credits_number('uncertain') or 0) - floor",
    put: '- floor',
    seed: 1,
  },
  {
    what: 'what was spent is not taken off',
    file: 'settle.lua',
    find: "redis.call('HINCRBY', P .. 'credits', 'balance', 0 - cost)",
    put: '',
    seed: 12,
  },
  {
    what: 'any reading raises the balance',
    file: 'balance.lua',
    find: 'return math.min(balance, reading)',
    put: 'return reading',
    seed: 1,
  },
  {
    what: 'a reading counts as quiet though calls were settled meanwhile',
    file: 'settle.lua',
    find: 'local quiet = reading.seq == seq_before_settling',
    put: 'local quiet = true',
    seed: 1,
  },
  {
    what: 'a header is believed though the balance call answers',
    file: 'settle.lua',
    find: "quiet and (by == 'call' or header_only)",
    put: 'quiet',
    seed: 10,
  },
  {
    what: 'an older reading raises the balance after a newer one',
    file: 'settle.lua',
    find: "quiet no more.\n  redis.call('HINCRBY', P .. 'credits', 'seq', 1)",
    put: '',
    seed: 21,
  },
  {
    what: 'what was settled while no balance was known is forgotten',
    file: 'settle.lua',
    find: "if not exact and not credits_number('balance') then return end",
    put: '',
    seed: 66,
  },
  {
    what: 'a header that is not believed resolves uncertain calls',
    file: 'settle.lua',
    find: 'if not exact then return end',
    put: 'if not quiet then return end',
    seed: 11,
  },
  {
    what: 'lost calls are released',
    file: 'settle.lua',
    find: "settle(id, { kind = 'uncertain', how = 'lost_worker' }, now)",
    put: "settle(id, { kind = 'released' }, now)",
    seed: 1,
  },
  {
    what: 'uncertain calls are resolved while they can still be billed',
    file: 'settle.lua',
    find: 'entry.resolve_after <= reading.started_at',
    put: 'true',
    seed: 1,
  },
  {
    what: 'a call that was taken back is not reserved again',
    file: 'renew.lua',
    find: "redis.call('HINCRBY', P .. 'credits', 'reserved', entry.estimate)",
    put: '',
    seed: 1,
  },
];

const NAMED = MUTANTS.map((mutant) => [mutant.what, mutant] as const);

/** Puts the mutant's text into every script that has its own, as it is loaded. */
const switchedOff = ({ file, find, put }: Mutant) => {
  const source = loadLua(new URL(file, CREDITS));
  const found = source.split(find).length - 1;
  if (found !== 1)
    throw new Error(`${file} has this text ${found} times and not once; say it anew in this test: ${find}`);
  return (redis: Redis) => {
    const define = redis.defineCommand.bind(redis);
    redis.defineCommand = (name, definition) =>
      define(name, { ...definition, lua: definition.lua.replace(find, () => put) });
  };
};

/** What the runs from a seed on come to: the floor kept, or the error of the first in which it is not. */
const playFrom = async (seed: number, meddle?: (redis: Redis) => void) => {
  const options = { together: false, floorOnly: true, ...(meddle === undefined ? {} : { meddle }) };
  const property = fc.asyncProperty(anyRun({ noisy: false }), async (run) => void (await play(run, options)));
  return (await fc.check(property, { seed, numRuns: RUNS, endOnFailure: true })).errorInstance;
};

describe('the proof of the floor', () => {
  it.each([...new Set(MUTANTS.map(({ seed }) => seed))])(
    'finds the floor kept by the scripts as they are (seed %i)',
    async (seed) => {
      expect(await playFrom(seed)).toBeNull();
    },
  );

  it.each(NAMED)('finds it broken where %s', async (_, mutant) => {
    expect(await playFrom(mutant.seed, switchedOff(mutant))).toBeInstanceOf(FloorBrokenError);
  });
});

if (process.env.MUTANT_SEEDS !== undefined)
  it.each(NAMED)(
    'a seed that finds where %s',
    async (_, mutant) => {
      let seed = 1;
      while (!((await playFrom(seed, switchedOff(mutant))) instanceof FloorBrokenError)) seed++;
      process.stdout.write(`seed ${seed}: ${mutant.what}\n`);
    },
    600_000,
  );
