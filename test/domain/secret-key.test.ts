import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSecretKey } from '@renderyard/shared/secret-key';
import { SettingsError } from '@renderyard/shared/settings';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'renderyard-key-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

describe('loadSecretKey', () => {
  it('takes the setting and writes nothing', async () => {
    const setting = Buffer.alloc(32, 1);
    expect(await loadSecretKey({ setting, dataDir: join(folder, 'none') })).toBe(setting);
    expect(await readdir(folder)).toEqual([]);
  });

  it('makes one key for all that start at the same time, and keeps it', async () => {
    const dataDir = join(folder, 'deep', 'data');
    const keys = await Promise.all(Array.from({ length: 20 }, () => loadSecretKey({ setting: undefined, dataDir })));
    expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(1);
    expect(keys[0]).toHaveLength(32);
    expect(await loadSecretKey({ setting: undefined, dataDir })).toEqual(keys[0]);
    expect(await readdir(dataDir)).toEqual(['secret-key']);
  });

  it('lets its owner only read it, and writes it as it would be set', async () => {
    const key = await loadSecretKey({ setting: undefined, dataDir: folder });
    const path = join(folder, 'secret-key');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await readFile(path, 'utf8')).trim()).toBe(key.toString('base64'));
  });

  it.each(['', 'c2hvcnQ=', Buffer.alloc(33).toString('base64')])(
    'refuses a kept key %j and leaves it',
    async (kept) => {
      const path = join(folder, 'secret-key');
      await writeFile(path, kept);
      await expect(loadSecretKey({ setting: undefined, dataDir: folder })).rejects.toThrow(SettingsError);
      expect(await readFile(path, 'utf8')).toBe(kept);
    },
  );
});
