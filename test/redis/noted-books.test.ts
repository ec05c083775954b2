import { rm } from 'node:fs/promises';
import { noteBooks, restoreBooks } from '@renderyard/shared/credits/book-notes';
import { createDirectoryStore } from '@renderyard/shared/store/directory-store';
import type { Store } from '@renderyard/shared/store/store';
import { beforeEach, describe, expect, it } from 'vitest';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { type Bench, COST, openBench } from './bench.ts';
import { contents } from './keys.ts';
import { awayFromHourEnd } from './time.ts';

beforeEach(awayFromHourEnd);

const DAY_MS = 86_400_000;
const SETTINGS = { floor: 0, low: 0, resume: 0 };
const UNCERTAIN = { status: 'queued', settlement: { kind: 'uncertain', how: 'timeout' } } as const;

/** A Redis that works for an upstream, and a store. */
async function openNotes(upstream = 'one') {
  const bench = await openBench();
  const directory = await makeTemporaryFolder('books');
  const store = createDirectoryStore({ directory, publicUrl: 'http://a.test', signingKey: Buffer.alloc(32) });
  await bench.ledger.meetUpstream(upstream, SETTINGS);
  await bench.balance(1e15);
  return {
    ...bench,
    store,
    note: () => noteBooks({ ledger: bench.ledger, store }),
    render: async (cost = COST, account = 'acme') => {
      const job = await bench.job({ account });
      await bench.end(await bench.call({ job, estimate: cost, costClass: `class-${cost}` }), {
        settlement: { kind: 'spent', cost },
      });
    },
    /** Lets a day pass, also for what is noted already. */
    async passDay() {
      const keys: string[] = [];
      for await (const { key } of store.list('books/')) keys.push(key);
      for (const key of keys) {
        const day = Date.parse(key.slice('books/'.length, -'.json'.length));
        const books = JSON.parse(await read(store, key)) as { hours: object };
        const hours = Object.fromEntries(Object.entries(books.hours).map(([hour, of]) => [Number(hour) - 24, of]));
        await put(store, dayKey((Date.now() - day) / DAY_MS + 1), JSON.stringify({ ...books, hours }));
        await store.delete([key]);
      }
      await bench.pass(DAY_MS);
    },
    async [Symbol.asyncDispose]() {
      await bench[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}
const read = async (store: Store, key: string) =>
  Buffer.concat(((await (await store.get(key))?.body.toArray()) ?? []) as Buffer[]).toString('utf8');
const put = (store: Store, key: string, text: string) =>
  store.put(key, Buffer.from(text), { contentType: 'application/json' });
const restore = async (bench: Pick<Bench, 'ledger'>, store: Store) => {
  const damaged: string[] = [];
  await restoreBooks({ ledger: bench.ledger, store }, Date.now(), (key) => damaged.push(key));
  return damaged;
};
const booksOf = async (bench: Bench) => ({
  entries: await bench.ledger.books({ fromHour: 0, toHour: 1e9 }),
  keys: [...(await bench.books()).keys].map(([name, { total, day }]) => [name, total, day]),
});
const dayKey = (daysAgo: number) => `books/${new Date(Date.now() - daysAgo * DAY_MS).toISOString().slice(0, 10)}.json`;

describe('books that were noted in the store', () => {
  it('come back into a Redis that was emptied, to the nanocredit', async () => {
    await using bench = await openNotes();
    await bench.render(123_456_789_012_347);
    await bench.render(COST, 'other');
    await bench.end(await bench.call(), UNCERTAIN);
    await bench.note();
    await bench.passDay();
    await bench.render(3 * COST + 1);
    await bench.note();
    expect(await bench.ledger.unnotedBooks()).toEqual([]);
    const before = await booksOf(bench);
    expect(before.entries.length).toBe(3);
    await using emptied = await openBench();
    expect(await restore(emptied, bench.store)).toEqual([]);
    expect(await booksOf(emptied)).toEqual(before);
    // What they were spent at is known as well.
    await emptied.ledger.meetUpstream('one', SETTINGS);
    expect(await booksOf(emptied)).toEqual(before);
    expect(await emptied.ledger.meetUpstream('two', SETTINGS)).toMatchObject({ was: 'one' });
    expect((await booksOf(emptied)).entries).toEqual([]);
  });

  it('change nothing in a Redis that knows more', async () => {
    await using bench = await openNotes();
    await bench.render();
    await bench.note();
    await bench.render();
    await bench.passDay();
    await bench.render(COST, 'other');
    const before = await booksOf(bench);
    expect(await restore(bench, bench.store)).toEqual([]);
    expect(await booksOf(bench)).toEqual(before);
    await bench.note();
    const known = await contents(bench.redis, bench.prefix);
    await restore(bench, bench.store);
    expect(await contents(bench.redis, bench.prefix)).toEqual(known);
  });

  it('are no more than was spent, where a call of another day was corrected', async () => {
    await using bench = await openNotes();
    const call = await bench.call();
    await bench.end(call, UNCERTAIN);
    await bench.note();
    await bench.passDay();
    await bench.end(call, { settlement: { kind: 'spent', cost: COST / 4 } });
    await bench.note();
    const before = await booksOf(bench);
    expect(before.keys).toEqual([['acme', COST / 4, 0]]);
    await using emptied = await openBench();
    await restore(emptied, bench.store);
    expect(await booksOf(emptied)).toEqual(before);
  });

  it('that are damaged are told of and left out, and the others come back', async () => {
    await using bench = await openNotes();
    await bench.render();
    await bench.note();
    const damage = [
      '',
      '{"hours":{}}',
      '{"hours":{"1":{"a||c":"x"}},"keys":{}}',
      '{"hours":{},"keys":{"a":"1e3"}}',
      'null',
    ];
    for (const [i, text] of damage.entries()) await put(bench.store, dayKey(i + 1), text);
    await using emptied = await openBench();
    expect(await restore(emptied, bench.store)).toEqual(damage.map((_, i) => dayKey(i + 1)));
    expect(await booksOf(emptied)).toEqual(await booksOf(bench));
  });

  it('of another upstream than the newest are left out, and none is taken back after a change', async () => {
    await using bench = await openNotes();
    await bench.render();
    await bench.note();
    const text = await read(bench.store, dayKey(0));
    const hour = Math.floor(Date.now() / 3_600_000) - 24;
    const old = {
      upstream: 'zero',
      hours: { [hour]: { 'acme||c': '5', 'acme||n': '1' } },
      keys: { acme: String(1e9) },
    };
    await put(bench.store, dayKey(1), JSON.stringify(old));
    await using emptied = await openBench();
    await restore(emptied, bench.store);
    expect(JSON.parse(text)).toMatchObject({ upstream: 'one', keys: { acme: String(COST) } });
    expect(await booksOf(emptied)).toEqual(await booksOf(bench));
    await bench.ledger.meetUpstream('two', SETTINGS);
    await bench.note();
    await using again = await openBench();
    await restore(again, bench.store);
    expect(await booksOf(again)).toEqual({ entries: [], keys: [['acme', 0, 0]] });
    // A Redis that is known to work for another upstream takes none of it.
    await using another = await openNotes('another');
    await put(bench.store, dayKey(0), text);
    await restore(another, bench.store);
    expect((await booksOf(another)).entries).toEqual([]);
  });

  it('are kept for 35 days', async () => {
    await using bench = await openNotes();
    await bench.render();
    const text = (daysAgo: number) => {
      const hour = Math.floor(Date.now() / 3_600_000) - daysAgo * 24;
      return JSON.stringify({ upstream: 'one', hours: { [hour]: { 'acme||c': '1' } }, keys: {} });
    };
    for (const daysAgo of [34, 36, 40]) await put(bench.store, dayKey(daysAgo), text(daysAgo));
    // What ends 35 days ago in the middle of a day.
    const last = Math.floor(Date.now() / 3_600_000) - 35 * 24;
    await put(
      bench.store,
      dayKey(35),
      JSON.stringify({
        upstream: 'one',
        hours: { [last]: { 'acme||c': '1' }, [last + 1]: { 'acme||c': '1' } },
        keys: {},
      }),
    );
    await restore(bench, bench.store);
    const hours = (await booksOf(bench)).entries.map(({ hour }) => Math.floor(Date.now() / 3_600_000) - hour);
    expect(hours).toEqual([35 * 24 - 1, 34 * 24, 0]);
    await bench.pass(2 * DAY_MS);
    await bench.render();
    expect((await booksOf(bench)).entries.map(({ credits }) => credits)).toEqual([COST, COST]);
  });
});

describe('noting books', () => {
  it('is due after each change, and no more once they are noted as they are', async () => {
    await using bench = await openNotes();
    expect(await bench.ledger.unnotedBooks()).toEqual([]);
    await bench.render();
    const [first] = await bench.ledger.unnotedBooks();
    if (first === undefined) throw new Error('nothing is due');
    await bench.render();
    await bench.ledger.notedBooks(first);
    expect((await bench.ledger.unnotedBooks()).length).toBe(1);
    await bench.note();
    expect(await bench.ledger.unnotedBooks()).toEqual([]);
  });

  it('is due again where one who was slow may have written over what is newer', async () => {
    await using bench = await openNotes();
    await bench.render();
    const [slow] = await bench.ledger.unnotedBooks();
    await bench.note();
    if (slow === undefined) throw new Error('nothing is due');
    for (const change of [() => Promise.resolve(), () => bench.render()]) {
      await change();
      // Its write came last.
      await bench.ledger.notedBooks(slow);
      expect((await bench.ledger.unnotedBooks()).length).toBe(1);
      await bench.note();
    }
    expect(await bench.ledger.unnotedBooks()).toEqual([]);
  });
});
