import { copyFile, mkdir, readdir, readFile, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toDirectoryError } from '@renderyard/shared/store/directory-error';
import { createFolders } from '@renderyard/shared/store/directory-folders';
import { listKeys } from '@renderyard/shared/store/directory-listing';
import { openObject, readInfo } from '@renderyard/shared/store/directory-read';
import { openRoot } from '@renderyard/shared/store/directory-root';
import { compareKeys } from '@renderyard/shared/store/object-key';
import { describe, expect, it, vi } from 'vitest';
import { listKeysOf, readAll } from './bench.ts';
import { openDirectoryBench } from './directory-bench.ts';

const png = { contentType: 'image/png' };

describe('a directory store', () => {
  it('keeps images as plain files under their own names', async () => {
    await using bench = await openDirectoryBench();
    const key = 'batches/bat_01/images/Red Fox – 7.png';
    await bench.store.put(key, Buffer.from('png'), { ...png, metadata: { job: 'job_1' } });
    expect(await readFile(join(bench.directory, key), 'utf8')).toBe('png');
    expect(await readdir(join(bench.directory, 'batches/bat_01/images'))).toEqual(['Red Fox – 7.png']);
    expect((await readdir(bench.directory)).filter((name) => !name.startsWith('.'))).toEqual(['batches']);
  });

  it('makes its folder for the user alone', async () => {
    await using bench = await openDirectoryBench();
    await rm(bench.directory, { recursive: true });
    await bench.store.put('a', Buffer.from('x'), png);
    expect((await stat(bench.directory)).mode & 0o777).toBe(0o700);
  });

  it('leaves neither empty folders nor metadata behind', async () => {
    await using bench = await openDirectoryBench();
    const put = (key: string) => bench.store.put(key, Buffer.from('x'), { ...png, metadata: { a: 'b' } });
    for (const key of ['a/b/c.png', 'a/d.png', 'a/b/c.png']) await put(key);
    await bench.store.delete(['a/b/c.png']);
    expect(await readdir(join(bench.directory, 'a'))).toEqual(['d.png']);
    expect(await readdir(join(bench.directory, '.meta/a'))).toHaveLength(1);
    await bench.store.delete(['a/d.png']);
    expect((await readdir(bench.directory)).toSorted()).toEqual(['.format.json', '.temp']);
  });

  it('puts into a folder that is being removed as empty', async () => {
    await using bench = await openDirectoryBench();
    const turn = async (name: string) => {
      for (let n = 0; n < 60; n++) {
        await bench.store.put(`a/b/c/${name}.png`, Buffer.from(name), { ...png, metadata: { name } });
        expect((await bench.store.head(`a/b/c/${name}.png`))?.metadata).toEqual({ name });
        await bench.store.delete([`a/b/c/${name}.png`]);
      }
    };
    await Promise.all(['one', 'two', 'three'].map(turn));
    expect(await listKeysOf(bench.store, '')).toEqual([]);
  });

  it('shows a file that somebody put there, and not what a file manager leaves', async () => {
    await using bench = await openDirectoryBench();
    await bench.store.put('a/b.png', Buffer.from('x'), png);
    await writeFile(join(bench.directory, 'a/c.jpg'), 'theirs');
    await writeFile(join(bench.directory, 'a/.DS_Store'), 'x');
    await mkdir(join(bench.directory, 'a/Folder.d'));
    await writeFile(join(bench.directory, 'a/Folder.d/e.png'), 'x');
    expect(await listKeysOf(bench.store, '')).toEqual(['a/b.png', 'a/c.jpg']);
    expect(await bench.store.head('a/c.jpg')).toMatchObject({ bytes: 6, contentType: 'image/jpeg', metadata: {} });
    expect(await bench.store.head('a/.DS_Store')).toBeUndefined();
  });

  it('does not say of an edited file what was true of the one before', async () => {
    await using bench = await openDirectoryBench();
    await bench.store.put('a.png', Buffer.from('one'), { contentType: 'x/y', metadata: { sha256: '…' } });
    const before = await bench.store.head('a.png');
    await writeFile(join(bench.directory, 'a.png'), 'edited');
    expect(await bench.store.head('a.png')).toMatchObject({ bytes: 6, contentType: 'image/png', metadata: {} });
    expect((await bench.store.head('a.png'))?.etag).not.toBe(before?.etag);
  });

  it('tells writes of the same moment and the same length apart', async () => {
    await using bench = await openDirectoryBench();
    const chance = vi.spyOn(Math, 'random').mockReturnValue(0.5);
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      await bench.store.put('a.png', Buffer.from('1'), { ...png, metadata: { n: '1' } });
      chance.mockReturnValueOnce(0.5).mockReturnValue(0.25);
      await bench.store.put('a.png', Buffer.from('2'), { ...png, metadata: { n: '2' } });
      expect((await bench.store.head('a.png'))?.metadata).toEqual({ n: '2' });
      chance.mockReturnValueOnce(0.25).mockReturnValue(0.75);
      await bench.store.put('a.png', Buffer.from('3'), png);
      expect((await bench.store.head('a.png'))?.metadata).toEqual({});
      expect((await readAll(bench.store, 'a.png')).toString()).toBe('3');
    } finally {
      vi.useRealTimers();
      chance.mockRestore();
    }
  });

  it('keeps metadata when the folder is moved', async () => {
    await using bench = await openDirectoryBench();
    await bench.store.put('a/b.png', Buffer.from('x'), { ...png, metadata: { a: 'b' } });
    const moved = `${bench.directory}-moved`;
    await rename(bench.directory, moved);
    await rename(moved, bench.directory);
    expect((await bench.again().head('a/b.png'))?.metadata).toEqual({ a: 'b' });
  });

  it('follows no symbolic link', async () => {
    await using bench = await openDirectoryBench();
    await using outside = await openDirectoryBench();
    await outside.store.put('folder/secret.txt', Buffer.from('secret'), { contentType: 'text/plain' });
    await bench.store.put('real/a.png', Buffer.from('x'), png);
    await symlink(join(outside.directory, 'folder'), join(bench.directory, 'linked'));
    await symlink(join(outside.directory, 'folder/secret.txt'), join(bench.directory, 'real/secret.txt'));

    const denied = { name: 'StoreError', kind: 'denied' };
    await expect(bench.store.get('linked/secret.txt')).rejects.toMatchObject(denied);
    await expect(bench.store.head('linked/secret.txt')).rejects.toMatchObject(denied);
    await expect(bench.store.put('linked/new.txt', Buffer.from('x'), png)).rejects.toMatchObject(denied);
    await expect(bench.store.delete(['linked/secret.txt'])).rejects.toMatchObject(denied);
    await expect(listKeysOf(bench.store, 'linked/')).rejects.toMatchObject(denied);
    expect(await bench.store.get('real/secret.txt')).toBeUndefined();
    expect(await bench.store.head('real/secret.txt')).toBeUndefined();
    expect(await listKeysOf(bench.store, '')).toEqual(['real/a.png']);
    await bench.store.put('real/secret.txt', Buffer.from('mine'), { contentType: 'text/plain' });
    expect((await readAll(bench.store, 'real/secret.txt')).toString()).toBe('mine');
    expect((await readAll(outside.store, 'folder/secret.txt')).toString()).toBe('secret');
    expect(await listKeysOf(outside.store, '')).toEqual(['folder/secret.txt']);
  });

  it('says that it is gone instead of that objects are missing', async () => {
    await using bench = await openDirectoryBench();
    await bench.store.put('a', Buffer.from('x'), png);
    const gone = { name: 'StoreError', kind: 'not_found_bucket', retryable: false };
    // Once without the folder, once with an empty one, as a disk that is not mounted leaves it.
    for (const empty of [false, true]) {
      await rm(bench.directory, { recursive: true });
      if (empty) await mkdir(bench.directory);
      await expect(bench.store.get('a')).rejects.toMatchObject(gone);
      await expect(bench.store.head('a')).rejects.toMatchObject(gone);
      await expect(bench.store.put('a', Buffer.from('x'), png)).rejects.toMatchObject(gone);
      await expect(bench.store.delete(['a'])).rejects.toMatchObject(gone);
      await expect(listKeysOf(bench.store, '')).rejects.toMatchObject(gone);
      await expect(bench.store.check()).rejects.toMatchObject(gone);
      if (!empty) await mkdir(bench.directory);
    }
  });

  it('sweeps what the dead have left and nothing of the living', async () => {
    await using bench = await openDirectoryBench();
    const temp = join(bench.directory, '.temp');
    await bench.store.put('a', Buffer.from('x'), png);
    const foreign = ['somewhere-else.1.ab.1.object', 'somewhere-else.1.ab.2.object', 'unknown'];
    for (const name of foreign) await writeFile(join(temp, name), 'x');
    const old = Date.now() / 1000 - 3700;
    await utimes(join(temp, foreign[0] ?? ''), old, old);
    await bench.again().check();
    expect((await readdir(temp)).toSorted()).toEqual(foreign.slice(1));
  });

  it('sweeps the metadata of writes that did not come to their end, and of no others', async () => {
    await using bench = await openDirectoryBench();
    const metadata = { a: 'b' };
    for (const key of ['kept.png', 'lost.png']) await bench.store.put(key, Buffer.from('x'), { ...png, metadata });
    const sidecars = join(bench.directory, '.meta');
    // As if both writers had died, the first just after its object was in place, the other just before.
    for (const [n, file] of (await readdir(sidecars)).entries()) {
      const left = join(bench.directory, `.temp/somewhere-else.1.ab.${n}.sidecar`);
      await copyFile(join(sidecars, file), left);
      await utimes(left, 0, 0);
    }
    await rm(join(bench.directory, 'lost.png'));
    const again = bench.again();
    await again.check();
    expect(await readdir(join(bench.directory, '.temp'))).toEqual([]);
    expect((await readdir(sidecars)).map((file) => file.replace(/%.*/, ''))).toEqual(['kept.png']);
    expect((await again.head('kept.png'))?.metadata).toEqual(metadata);
  });

  it('looks again at an object that is replaced in the middle of a look', async () => {
    await using bench = await openDirectoryBench();
    const write = (n: number) => bench.store.put('a', Buffer.alloc(n), { contentType: 'x/y', metadata: { n: `${n}` } });
    await write(1);
    const root = await openRoot(bench.directory);
    let n = 1;
    // What is asked between the look at the file and the look at its metadata.
    const exists = async (folder: string) => {
      if (n % 3 !== 0) await write(++n);
      return root.folders.exists(folder);
    };
    const interrupted = { ...root, folders: { ...root.folders, exists } };
    expect(await readInfo(interrupted, 'a')).toMatchObject({ bytes: 3, metadata: { n: '3' } });
    n++;
    await write(n);
    const opened = await openObject(interrupted, 'a');
    expect(opened?.info).toMatchObject({ bytes: 6, metadata: { n: '6' } });
    expect((await opened?.handle.readFile())?.length).toBe(6);
    await opened?.handle.close();
  });

  it('writes names apart where the folder was made on a file system without case', async () => {
    await using bench = await openDirectoryBench();
    await writeFile(join(bench.directory, '.format.json'), JSON.stringify({ format: 1, fold: true }));
    const keys = ['A.png', 'A/b', 'a.png', 'a/b', 'É.png', 'é.png', 'ß', 'ss'];
    for (const key of keys) await bench.store.put(key, Buffer.from(key), { ...png, metadata: { of: key } });
    expect(await listKeysOf(bench.store, '')).toEqual(keys.toSorted(compareKeys));
    for (const key of keys) {
      expect((await readAll(bench.store, key)).toString()).toBe(key);
      expect((await bench.store.head(key))?.metadata).toEqual({ of: key });
    }
    const names = await readdir(bench.directory, { recursive: true });
    expect(new Set(names.map((name) => name.toUpperCase().toLowerCase())).size).toBe(names.length);
  });

  it('refuses a folder of a later format', async () => {
    await using bench = await openDirectoryBench();
    await writeFile(join(bench.directory, '.format.json'), JSON.stringify({ format: 2, fold: false }));
    await expect(bench.store.check()).rejects.toMatchObject({ kind: 'unsupported' });
  });

  it('says what is in the way of an object', async () => {
    await using bench = await openDirectoryBench();
    await bench.store.check();
    await mkdir(join(bench.directory, 'a.png'));
    await expect(bench.store.put('a.png', Buffer.from('x'), png)).rejects.toMatchObject({ kind: 'invalid' });
    expect(await bench.store.get('a.png')).toBeUndefined();
    expect(await readdir(join(bench.directory, '.temp'))).toEqual([]);
  });

  it.each([
    ['ENOSPC', 'full', false],
    ['EDQUOT', 'full', false],
    ['EACCES', 'denied', false],
    ['EROFS', 'denied', false],
    ['EIO', 'unavailable', true],
    ['EMFILE', 'unavailable', true],
  ])('takes %s for %s', (code, kind, retryable) => {
    const cause = Object.assign(new Error(`${code}: it failed`), { code });
    expect(toDirectoryError(cause, 'Storing a')).toMatchObject({ kind, retryable, cause });
  });

  it('lists a folder that is larger than what it holds of it at a time', async () => {
    await using bench = await openDirectoryBench();
    const keys = Array.from({ length: 41 }, (_, n) => (n % 4 === 0 ? `f/${n}/x.png` : `f/${n}.png`));
    for (const key of keys) await bench.store.put(key, Buffer.from('x'), png);
    const { directory: path } = bench;
    const root = { path, folders: createFolders(path), layout: { fold: false } };
    const sorted = keys.toSorted(compareKeys);
    for (const window of [1, 2, 5, 20, 21, 40, 41, 42]) {
      for (const after of [undefined, 'f/2', 'f/24/x.png', sorted.at(-1)]) {
        const listed: string[] = [];
        for await (const { key } of listKeys(root, { prefix: 'f/', after, window })) listed.push(key);
        expect(listed).toEqual(sorted.filter((key) => after === undefined || compareKeys(key, after) > 0));
      }
    }
  });
});
