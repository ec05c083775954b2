import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AWKWARD_KEYS, keys } from './arbitraries.ts';
import { listKeysOf, readAll } from './bench.ts';
import { STORES } from './both-stores.ts';

const text = { contentType: 'text/plain' };

describe.concurrent.each(STORES)('a store on %s', (_, open) => {
  it('takes keys that mean something in URLs, on disks and in XML, each for itself', async () => {
    await using bench = await open();
    for (const key of AWKWARD_KEYS) await bench.store.put(key, Buffer.from(key), text);
    for (const key of AWKWARD_KEYS) expect((await readAll(bench.store, key)).toString()).toBe(key);
    expect(await listKeysOf(bench.store, '')).toEqual(
      AWKWARD_KEYS.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    );
  });

  it('keeps a key, the same in capitals, and the same as a folder apart', async () => {
    await using bench = await open();
    const several = ['a', 'a/b', 'a/b/c', 'A', 'a.b', 'a.b/c', 'a-b', 'a0'];
    for (const key of several) await bench.store.put(key, Buffer.from(key), text);
    expect(await listKeysOf(bench.store, '')).toEqual(['A', 'a', 'a-b', 'a.b', 'a.b/c', 'a/b', 'a/b/c', 'a0']);
    await bench.store.delete(['a/b']);
    for (const key of several.filter((key) => key !== 'a/b'))
      expect((await readAll(bench.store, key)).toString()).toBe(key);
  });

  it('keeps any key and any metadata', async () => {
    await using bench = await open();
    const values = fc.string({ unit: 'binary', maxLength: 30 }).map((value) => value.toWellFormed());
    const metadata = fc.dictionary(fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,10}$/), values, {
      maxKeys: 3,
      noNullPrototype: true,
    });
    await fc.assert(
      fc.asyncProperty(keys, metadata, async (key, meta) => {
        await bench.store.put(key, Buffer.from(key), { ...text, metadata: meta });
        const object = await bench.store.get(key);
        expect(Buffer.concat((await object?.body.toArray()) ?? []).toString()).toBe(key);
        expect(object?.info.metadata).toEqual(meta);
        expect(await listKeysOf(bench.store, key, { limit: 1 })).toEqual([key]);
        await bench.store.delete([key]);
        expect(await bench.store.head(key)).toBeUndefined();
      }),
      { numRuns: bench.store.kind === 's3' ? 10 : 40 },
    );
    expect(await listKeysOf(bench.store, '')).toEqual([]);
  });

  it.each(['', '/a', 'a//b', '../a', 'a/./b', 'a\\b', 'a\0', 'e\u0301', 'x'.repeat(901)])(
    'refuses the key %j',
    async (key) => {
      await using bench = await open();
      const refusal = { name: 'StoreError', kind: 'invalid', retryable: false };
      await expect(bench.store.put(key, Buffer.from('x'), text)).rejects.toMatchObject(refusal);
      await expect(bench.store.get(key)).rejects.toMatchObject(refusal);
      await expect(bench.store.head(key)).rejects.toMatchObject(refusal);
      await expect(bench.store.delete([key])).rejects.toMatchObject(refusal);
      await expect(bench.store.link(key, { expiresInSeconds: 60 })).rejects.toMatchObject(refusal);
    },
  );

  it.each([
    ['a metadata name with capitals', { ...text, metadata: { Name: 'x' } }],
    ['metadata above 1,984 bytes', { ...text, metadata: { a: 'ü'.repeat(400) } }],
    ['half a surrogate pair', { ...text, metadata: { a: '\ud800' } }],
    ['a content type with a line break', { contentType: 'text/plain\r\nx: y' }],
    ['a cache control with a line break', { ...text, cacheControl: 'private\nx: y' }],
  ])('refuses %s', async (_what, options) => {
    await using bench = await open();
    await expect(bench.store.put('a', Buffer.from('x'), options)).rejects.toMatchObject({ kind: 'invalid' });
    expect(await bench.store.head('a')).toBeUndefined();
  });
});
