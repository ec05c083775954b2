import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StoreError } from '@renderyard/shared/store/store-error';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { keys } from './arbitraries.ts';
import { type Bench, inParallel, listAll, listKeysOf, openDirectoryBench, openS3Bench, readAll } from './bench.ts';

const text = { contentType: 'text/plain' };
const NAMES = [
  'ré sumé.txt',
  'a+b&c=d?#;.txt',
  'p%20q%2F.txt',
  `quote'(1)!*"<>.txt`,
  '日本/🎉.bin',
  '.env',
  'a:b|c',
  'con',
  '~',
];

const BENCHES: readonly (readonly [string, () => Promise<Bench>])[] = [
  ['S3', openS3Bench],
  ['the directory', openDirectoryBench],
];

describe.concurrent.each(BENCHES)('a store on %s', (_, open) => {
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

  it('takes keys that mean something in URLs, on disks and in XML, each for itself', async () => {
    await using bench = await open();
    for (const key of NAMES) await bench.store.put(key, Buffer.from(key), text);
    for (const key of NAMES) expect((await readAll(bench.store, key)).toString()).toBe(key);
    expect(await listKeysOf(bench.store, '')).toEqual(
      NAMES.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
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
      { numRuns: 25 },
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
    ['metadata above 2,048 bytes', { ...text, metadata: { a: 'ü'.repeat(400) } }],
    ['half a surrogate pair', { ...text, metadata: { a: '\ud800' } }],
    ['a content type with a line break', { contentType: 'text/plain\r\nx: y' }],
    ['a cache control with a line break', { ...text, cacheControl: 'private\nx: y' }],
  ])('refuses %s', async (_what, options) => {
    await using bench = await open();
    await expect(bench.store.put('a', Buffer.from('x'), options)).rejects.toMatchObject({ kind: 'invalid' });
    expect(await bench.store.head('a')).toBeUndefined();
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

  it('lists more than a page in order, from any key on, and deletes as many', async () => {
    await using bench = await open();
    const all = Array.from({ length: 1050 }, (_, n) => `rows/${String(n).padStart(5, '0')}.ndjson`);
    await inParallel(all, 12, (key) =>
      bench.store.put(key, Buffer.from('{}'), { contentType: 'application/x-ndjson' }),
    );
    await bench.store.put('rows.txt', Buffer.from('x'), text);
    await bench.store.put('s', Buffer.from('x'), text);
    expect(await listKeysOf(bench.store, 'rows/')).toEqual(all);
    expect(await listKeysOf(bench.store, 'rows/0010')).toEqual(all.slice(100, 110));
    expect(await listKeysOf(bench.store, '', { after: 'rows/01047.ndjson' })).toEqual([...all.slice(1048), 's']);
    expect(await listKeysOf(bench.store, 'rows/', { after: 'rows/00010', limit: 2 })).toEqual(all.slice(10, 12));
    expect(await listKeysOf(bench.store, 'rows/', { after: 'zzz' })).toEqual([]);
    expect(await listKeysOf(bench.store, 'nothing/here')).toEqual([]);
    expect(await listKeysOf(bench.store, '', { limit: 0 })).toEqual([]);
    await bench.store.delete([...all, 'never/was']);
    expect(await listKeysOf(bench.store, '')).toEqual(['rows.txt', 's']);
  });

  it('stops listing when its reader does', async () => {
    await using bench = await open();
    for (const key of ['a/1', 'a/2', 'b']) await bench.store.put(key, Buffer.from('x'), text);
    for await (const { key } of bench.store.list('')) if (key === 'a/1') break;
    expect(await listKeysOf(bench.store, 'a')).toEqual(['a/1', 'a/2']);
  });

  it.each(['/a', 'a//', '../', 'a\\'])('refuses to list below %j', async (prefix) => {
    await using bench = await open();
    await expect(listAll(bench.store, prefix)).rejects.toMatchObject({ kind: 'invalid' });
  });

  it('makes links that anyone can follow, for any key', async () => {
    await using bench = await open();
    for (const key of NAMES) {
      await bench.store.put(key, Buffer.from(key), text);
      const answer = await bench.follow(await bench.store.link(key, { expiresInSeconds: 60 }));
      expect([key, answer.status, await answer.text()]).toEqual([key, 200, key]);
    }
  });

  it('makes links that say the type and the name that were asked for', async () => {
    await using bench = await open();
    await bench.store.put('a.bin', Buffer.from('x'), text);
    const plain = await bench.follow(await bench.store.link('a.bin', { expiresInSeconds: 60 }));
    expect([plain.headers.get('content-type'), await plain.text()]).toEqual(['text/plain', 'x']);
    const said = { contentType: 'image/webp', filename: 'Füchse "rot" (1).webp' };
    const answer = await bench.follow(await bench.store.link('a.bin', { expiresInSeconds: 60, ...said }));
    await answer.arrayBuffer();
    expect(answer.headers.get('content-type')).toBe('image/webp');
    expect(answer.headers.get('content-disposition')).toBe(
      `inline; filename="F_chse _rot_ (1).webp"; filename*=UTF-8''F%C3%BCchse%20%22rot%22%20%281%29.webp`,
    );
  });

  it('makes links that are good for one object and as they are', async () => {
    await using bench = await open();
    for (const key of ['a.png', 'b.png']) await bench.store.put(key, Buffer.from(key), text);
    const link = await bench.store.link('a.png', { expiresInSeconds: 60 });
    const changed = new URL(link);
    for (const name of changed.searchParams.keys())
      if (/expires/i.test(name)) changed.searchParams.set(name, '99999999999');
    const unsigned = new URL(link);
    unsigned.search = '';
    for (const bad of [link.replace('a.png', 'b.png'), changed.href, unsigned.href]) {
      const answer = await bench.follow(bad);
      expect([bad, answer.status, (await answer.text()).includes('.png')]).toEqual([
        bad,
        expect.toBeOneOf([400, 403]),
        false,
      ]);
    }
  });

  it('makes links that expire', async () => {
    await using bench = await open();
    await bench.store.put('a', Buffer.from('x'), text);
    const link = await bench.store.link('a', { expiresInSeconds: 1 });
    const status = async () => {
      const answer = await bench.follow(link);
      await answer.arrayBuffer();
      return answer.status;
    };
    await vi.waitFor(async () => expect(await status()).toBe(403), { timeout: 5000, interval: 100 });
    for (const expiresInSeconds of [0, -1, 1.5, 604_801])
      await expect(bench.store.link('a', { expiresInSeconds })).rejects.toBeInstanceOf(StoreError);
  });

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
