import { createTurns } from '@renderyard/api/turns';
import { describe, expect, test } from 'vitest';

/** A clock whose time passes only by sleeping, and at once. */
function openTurns() {
  let now = 1_000_000;
  const sleep = async (ms: number, signal?: AbortSignal) => {
    await new Promise((resolve) => setImmediate(resolve));
    if (!signal?.aborted) now += ms;
  };
  const began = now;
  return { ...createTurns({ clock: { now: () => now, sleep } }), passed: () => now - began };
}

describe('turns', () => {
  test('are taken by one after the other, and by those who change something else at once', async () => {
    const turns = openTurns();
    const told: string[] = [];
    const change = async (who: string, what: string, end: Promise<void>) => {
      for await (const _ of turns.tries(what)) {
        told.push(`${who} begins`);
        await end;
        told.push(`${who} ends`);
        return;
      }
    };
    const first = Promise.withResolvers<void>();
    const all = [
      change('ann', 'credits', first.promise),
      change('bob', 'credits', Promise.resolve()),
      change('eve', 'batch', Promise.resolve()),
    ];
    await all[2];
    expect(told).toEqual(['ann begins', 'eve begins', 'eve ends']);
    first.resolve();
    await Promise.all(all);
    expect(told.slice(3)).toEqual(['ann ends', 'bob begins', 'bob ends']);
  });

  test('go on to the next when one of them throws', async () => {
    const turns = openTurns();
    const fail = async () => {
      for await (const _ of turns.tries('credits')) throw new Error('no store');
    };
    await expect(fail()).rejects.toThrow('no store');
    for await (const _ of turns.tries('credits')) break;
    expect(turns.passed()).toBe(0);
  });

  test('give tries for five seconds', async () => {
    const turns = openTurns();
    let tries = 0;
    for await (const _ of turns.tries('credits')) tries++;
    expect(tries).toBeGreaterThan(100);
    expect(turns.passed()).toSatisfy((ms: number) => ms >= 5000 && ms < 5020);
  });

  test('are not waited for longer than that, and then one try is made', async () => {
    const turns = openTurns();
    for await (const _ of turns.tries('credits')) {
      let tries = 0;
      for await (const __ of turns.tries('credits')) tries++;
      expect(tries).toBe(1);
      expect(turns.passed()).toSatisfy((ms: number) => ms >= 5000 && ms < 5020);
      break;
    }
  });
});
