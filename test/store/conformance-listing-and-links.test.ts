import { StoreError } from '@renderyard/shared/store/store-error';
import { describe, expect, it, vi } from 'vitest';
import { AWKWARD_KEYS } from './arbitraries.ts';
import { inParallel, listAll, listKeysOf } from './bench.ts';
import { STORES } from './both-stores.ts';

const text = { contentType: 'text/plain' };

describe.concurrent.each(STORES)('a store on %s', (_, open) => {
  it('lists more than a page in order, from any key on, and deletes as many', async () => {
    await using bench = await open();
    // A page of S3 has 1,000 objects; a directory has no pages.
    const length = bench.store.kind === 's3' ? 1005 : 305;
    const all = Array.from({ length }, (_, n) => `rows/${String(n).padStart(5, '0')}.ndjson`);
    await inParallel(all, 16, (key) =>
      bench.store.put(key, Buffer.from('{}'), { contentType: 'application/x-ndjson' }),
    );
    await bench.store.put('rows.txt', Buffer.from('x'), text);
    await bench.store.put('s', Buffer.from('x'), text);
    expect(await listKeysOf(bench.store, 'rows/')).toEqual(all);
    expect(await listKeysOf(bench.store, 'rows/0010')).toEqual(all.slice(100, 110));
    expect(await listKeysOf(bench.store, '', { after: 'rows/00302.ndjson' })).toEqual([...all.slice(303), 's']);
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
    for (const key of [...AWKWARD_KEYS, `${'long'.repeat(50)}/${'é'.repeat(150)}.png`]) {
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
});
