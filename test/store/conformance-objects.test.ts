import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inParallel, listAll, listKeysOf, readAll } from './bench.ts';
import { STORES } from './both-stores.ts';

const text = { contentType: 'text/plain' };

describe.concurrent.each(STORES)('a store on %s', (_, open) => {
  it.each([0, 1, 9 * 2 ** 20])('gives back %i bytes as they were, from memory and from a file', async (bytes) => {
    await using bench = await open();
    const folder = await mkdtemp(join(tmpdir(), 'renderyard-body-'));
    try {
      const body = randomBytes(bytes);
      const path = join(folder, 'body');
      await writeFile(path, body);
      expect(await bench.store.put('memory.bin', body, text)).toBe('stored');
      expect(await bench.store.put('file.bin', { path, bytes }, text)).toBe('stored');
      for (const key of ['memory.bin', 'file.bin']) {
        expect((await readAll(bench.store, key)).equals(body)).toBe(true);
        expect((await bench.store.head(key))?.bytes).toBe(bytes);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('refuses a file of another length, or none, and stores nothing', async () => {
    await using bench = await open();
    const missing = { path: join(tmpdir(), 'renderyard-no-such-file'), bytes: 3 };
    for (const body of [{ path: import.meta.filename, bytes: 3 }, missing])
      await expect(bench.store.put('a', body, text)).rejects.toMatchObject({ name: 'StoreError', kind: 'invalid' });
    expect(await listKeysOf(bench.store, '')).toEqual([]);
  });

  it('knows of an object what was said when it was stored', async () => {
    await using bench = await open();
    const before = Date.now();
    const metadata = { prompt: 'ein Fuchs — 狐 🦊\n"quoted" %41 ', empty: '', 'two-words': 'x' };
    await bench.store.put('a.png', Buffer.from('png'), {
      contentType: 'image/x-a',
      metadata,
      cacheControl: 'max-age=7',
    });
    const info = await bench.store.head('a.png');
    expect(info).toMatchObject({
      key: 'a.png',
      bytes: 3,
      contentType: 'image/x-a',
      metadata,
      cacheControl: 'max-age=7',
    });
    expect(info?.etag).toMatch(/^".+"$/);
    expect(Math.abs((info?.modifiedAt.getTime() ?? 0) - before)).toBeLessThan(5000);
    const object = await bench.store.get('a.png');
    object?.body.destroy();
    expect(object?.info).toEqual(info);
    const listed = (await listAll(bench.store, 'a'))[0];
    expect(listed).toMatchObject({ key: 'a.png', bytes: 3, etag: info?.etag });
  });

  it('replaces an object with all that is known of it', async () => {
    await using bench = await open();
    await bench.store.put('a', Buffer.from('one'), {
      contentType: 'text/plain',
      metadata: { n: '1' },
      cacheControl: 'no-cache',
    });
    const first = await bench.store.head('a');
    await bench.store.put('a', Buffer.from('two!'), { contentType: 'text/csv' });
    const second = await bench.store.head('a');
    expect(second).toMatchObject({ bytes: 4, contentType: 'text/csv', metadata: {} });
    expect(second).not.toHaveProperty('cacheControl');
    expect(second?.etag).not.toBe(first?.etag);
    expect((await readAll(bench.store, 'a')).toString()).toBe('two!');
  });

  it('keeps as much metadata as is allowed', async () => {
    await using bench = await open();
    const metadata = { a: 'ü'.repeat(330), bc: 'x' };
    await bench.store.put('a', Buffer.from('x'), { ...text, metadata, ifAbsent: true });
    expect((await bench.store.head('a'))?.metadata).toEqual(metadata);
  });

  it('never shows the bytes of one version with the metadata of another', async () => {
    await using bench = await open();
    const write = (n: number) =>
      bench.store.put('a', Buffer.alloc(200_000 + (n % 2), n), { contentType: 'x/y', metadata: { n: String(n) } });
    await write(0);
    let writing = true;
    const writer = inParallel(
      Array.from({ length: 40 }, (_, n) => n),
      2,
      write,
    ).finally(() => {
      writing = false;
    });
    let reads = 0;
    while (writing || reads === 0) {
      const object = await bench.store.get('a');
      const bytes = Buffer.concat((await object?.body.toArray()) ?? []);
      const n = Number(object?.info.metadata.n);
      expect(object?.info.bytes).toBe(200_000 + (n % 2));
      expect(bytes.equals(Buffer.alloc(200_000 + (n % 2), n))).toBe(true);
      reads++;
    }
    await writer;
    expect(await listKeysOf(bench.store, '')).toEqual(['a']);
  });

  it('says undefined for what is not there', async () => {
    await using bench = await open();
    await bench.store.put('a/b', Buffer.from('x'), text);
    for (const key of ['b', 'a', 'a/c', 'a/b/c']) {
      expect(await bench.store.head(key)).toBeUndefined();
      expect(await bench.store.get(key)).toBeUndefined();
      expect(await bench.store.get(key, { range: { start: 1 } })).toBeUndefined();
    }
  });

  it('lets one of 16 create an object, and shows its bytes', async () => {
    await using bench = await open();
    for (const round of [1, 2, 3]) {
      const key = `claims/${round}`;
      const results = await Promise.all(
        Array.from({ length: 16 }, (_, n) =>
          bench.store.put(key, Buffer.from(`by ${n}`), { ...text, metadata: { n: String(n) }, ifAbsent: true }),
        ),
      );
      expect(results.filter((result) => result === 'stored')).toHaveLength(1);
      const winner = results.indexOf('stored');
      expect((await readAll(bench.store, key)).toString()).toBe(`by ${winner}`);
      expect((await bench.store.head(key))?.metadata).toEqual({ n: String(winner) });
    }
  });

  it('creates again what was deleted', async () => {
    await using bench = await open();
    const create = () => bench.store.put('a/b', Buffer.from('x'), { ...text, ifAbsent: true });
    expect([await create(), await create()]).toEqual(['stored', 'exists']);
    await bench.store.delete(['a/b']);
    expect([await create(), await create()]).toEqual(['stored', 'exists']);
  });

  it.each([
    [{ start: 0, end: 0 }, 0, 0],
    [{ start: 10, end: 19 }, 10, 19],
    [{ start: 90 }, 90, 99],
    [{ start: 90, end: 5000 }, 90, 99],
    [{ suffix: 7 }, 93, 99],
    [{ suffix: 700 }, 0, 99],
  ])('reads the range %o', async (range, start, end) => {
    await using bench = await open();
    const body = randomBytes(100);
    await bench.store.put('a', body, text);
    const object = await bench.store.get('a', { range });
    expect(object?.range).toEqual({ start, end });
    expect(object?.info.bytes).toBe(100);
    expect(Buffer.concat((await object?.body.toArray()) ?? []).equals(body.subarray(start, end + 1))).toBe(true);
  });

  it.each([{ start: 100 }, { start: 5, end: 4 }, { suffix: 0 }, { start: -1 }, { start: 0.5 }])(
    'refuses the range %o',
    async (range) => {
      await using bench = await open();
      await bench.store.put('a', randomBytes(100), text);
      await expect(bench.store.get('a', { range })).rejects.toMatchObject({ name: 'StoreError', kind: 'range' });
    },
  );

  it('can be checked, and leaves nothing that a listing shows', async () => {
    await using bench = await open();
    await bench.store.check();
    await bench.store.check(AbortSignal.timeout(10_000));
    expect(await listKeysOf(bench.store, '')).toEqual([]);
  });

  it('ends with the reason of a signal that aborts', async () => {
    await using bench = await open();
    const reason = new Error('enough');
    const signal = AbortSignal.abort(reason);
    await expect(bench.store.put('a', Buffer.from('x'), { ...text, signal })).rejects.toBe(reason);
    await expect(bench.store.get('a', { signal })).rejects.toBe(reason);
    await expect(bench.store.head('a', { signal })).rejects.toBe(reason);
    await expect(bench.store.delete(['a'], { signal })).rejects.toBe(reason);
    await expect(listAll(bench.store, '', { signal })).rejects.toBe(reason);
    await expect(bench.store.check(signal)).rejects.toBe(reason);
    expect(await bench.store.head('a')).toBeUndefined();
  });

  it('ends a body that is being read when the signal aborts', async () => {
    await using bench = await open();
    await bench.store.put('a', randomBytes(9 * 2 ** 20), text);
    const stop = new AbortController();
    const object = await bench.store.get('a', { signal: stop.signal });
    const read = async () => {
      for await (const _ of object?.body ?? []) stop.abort();
    };
    await expect(read()).rejects.toThrow();
  });
});
