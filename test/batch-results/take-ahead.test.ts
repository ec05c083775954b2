import { takeAhead } from '@renderyard/api/batches/results/take-ahead';
import fc from 'fast-check';
import { expect, test } from 'vitest';

async function* from<T>(items: readonly T[]) {
  yield* items;
}

test('what comes out is in order, and bounded in number and weight, however long each takes', async () => {
  const Item = fc.record({ weight: fc.integer({ min: 0, max: 9 }), turns: fc.integer({ min: 0, max: 5 }) });
  await fc.assert(
    fc.asyncProperty(fc.array(Item, { maxLength: 30 }), async (items) => {
      const held = new Set<(typeof items)[number]>();
      const numbered = items.map((item) => ({ ...item }));
      const done: (typeof items)[number][] = [];
      const ahead = { most: 3, mostWeight: 10, weight: ({ weight }: (typeof items)[number]) => weight };
      const results = takeAhead(from(numbered), ahead, async (item) => {
        held.add(item);
        // The one that is being used, and three ahead of it.
        expect(held.size).toBeLessThanOrEqual(4);
        const others = [...held].slice(0, -1).reduce((total, { weight }) => total + weight, 0);
        if (held.size > 1) expect(others).toBeLessThan(10);
        for (let turn = 0; turn < item.turns; turn++) await Promise.resolve();
        return item;
      });
      for await (const item of results) {
        done.push(item);
        await Promise.resolve();
        held.delete(item);
      }
      expect(done).toEqual(numbered);
    }),
  );
});

test('what is ready is given while the source has nothing more to say', async () => {
  const rest = Promise.withResolvers<void>();
  async function* slow() {
    yield 1;
    await rest.promise;
    yield 2;
  }
  const results = takeAhead(slow(), { most: 4, mostWeight: 4, weight: () => 1 }, async (item) => item);
  expect((await results.next()).value).toBe(1);
  rest.resolve();
  expect((await results.next()).value).toBe(2);
  expect((await results.next()).done).toBe(true);
});

test('a failure of the work comes in its turn, one of the source too, and the source is ended', async () => {
  let ended = false;
  async function* three() {
    try {
      yield* [1, 2, 3];
    } finally {
      ended = true;
    }
  }
  const ahead = { most: 4, mostWeight: 100, weight: () => 1 };
  const results = takeAhead(three(), ahead, async (item) => {
    if (item === 2) throw new Error('two');
    return item;
  });
  expect((await results.next()).value).toBe(1);
  await expect(results.next()).rejects.toThrow('two');
  expect(ended).toBe(true);
  async function* broken() {
    yield 1;
    throw new Error('source');
  }
  const others = takeAhead(broken(), ahead, async (item) => item);
  const all = async () => {
    for await (const item of others) expect(item).toBe(1);
  };
  await expect(all()).rejects.toThrow('source');
});
