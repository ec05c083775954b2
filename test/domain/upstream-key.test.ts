import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createKnownSecrets } from '@renderyard/shared/known-secrets';
import { createLogger } from '@renderyard/shared/logger';
import { SettingsError } from '@renderyard/shared/settings';
import { readKeyFile } from '@renderyard/shared/upstream-key-file';
import { createUpstreamKey } from '@renderyard/worker/segmind/upstream-key';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const KEY = 'SG_0123456789abcdef';
const OTHER = 'unlike-any-shape-0001';

let folder = '';
let file = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'renderyard-key-file-'));
  file = join(folder, 'key');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** The key of the file, and all that was logged by now. */
async function take(setting?: string) {
  const lines: string[] = [];
  const secrets = createKnownSecrets();
  const logger = createLogger({
    service: 'test',
    level: 'trace',
    secrets,
    destination: { write: (line: string) => void lines.push(line) },
  });
  const key = await createUpstreamKey({ setting, file, secrets, logger });
  const levels = () => lines.map((line) => (JSON.parse(line) as { level: number }).level);
  return { key, lines, levels, logger };
}

describe('readKeyFile', () => {
  it.each([
    ['alone', KEY],
    ['with a newline behind it', `${KEY}\n`],
    ['with the end of a line as Windows writes it', `${KEY}\r\n`],
    ['among blank lines', `\n  ${KEY}\t\n\n`],
    ['behind a byte order mark', `\ufeff${KEY}\n`],
  ])('takes a key %s', async (_, content) => {
    await writeFile(file, content);
    expect(await readKeyFile(file)).toEqual({ key: KEY });
  });

  it('takes the longest key and none that is longer', async () => {
    await writeFile(file, `${'k'.repeat(512)}\n`);
    expect(await readKeyFile(file)).toEqual({ key: 'k'.repeat(512) });
    for (const length of [513, 4095, 4096, 4097, 10_000_000]) {
      await writeFile(file, 'k'.repeat(length));
      expect(await readKeyFile(file), String(length)).toEqual({
        problem: `SEGMIND_API_KEY_FILE names ${file}, which holds no key. A key is at most 512 visible ASCII characters, without spaces.`,
      });
    }
  });

  it.each([
    ['nothing', '', 'which is empty'],
    ['only white space', ' \n\n', 'which is empty'],
    ['two lines', 'SG_aaaaaaaa\nSG_bbbbbbbb\n', 'which holds no key'],
    ['a space within', 'SG_aaaaaaaa bbbbbbbb', 'which holds no key'],
    ['a character that no header takes', 'SG_aaaaaaaaä', 'which holds no key'],
    ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x53, 0x00]), 'which holds no key'],
    ['a control character', 'SG_aaaa\u0000aaaa', 'which holds no key'],
  ])('refuses %s, naming the file and not what it holds', async (_, content, why) => {
    await writeFile(file, content);
    const read = await readKeyFile(file);
    expect(read).toEqual({ problem: expect.stringContaining(`SEGMIND_API_KEY_FILE names ${file}, ${why}`) });
    expect(JSON.stringify(read)).not.toMatch(/aaaa|bbbb/);
  });

  it('refuses what is no file, and does not wait for a pipe’s other end', async () => {
    expect(await readKeyFile(file)).toEqual({ problem: expect.stringContaining('there is no such file (ENOENT)') });
    expect(await readKeyFile(folder)).toEqual({
      problem: expect.stringMatching(/which (is not a file|cannot be read)/),
    });
    await promisify(execFile)('mkfifo', [file]);
    expect(await readKeyFile(file)).toEqual({ problem: expect.stringContaining('which is not a file') });
    expect(await readKeyFile('/dev/zero')).toEqual({ problem: expect.stringContaining('which is not a file') });
  });

  it.runIf(process.getuid?.() !== 0)('refuses a file that this user may not read', async () => {
    await writeFile(file, KEY, { mode: 0o000 });
    expect(await readKeyFile(file)).toEqual({ problem: expect.stringContaining('may not read (EACCES)') });
    await chmod(file, 0o600);
  });
});

describe('createUpstreamKey', () => {
  it('takes the setting, which never changes', async () => {
    await writeFile(file, OTHER);
    const { key } = await take(KEY);
    expect([key.current(), await key.refresh(), key.current(), key.version]).toEqual([KEY, false, KEY, 1]);
  });

  it('says what is wrong at the start: neither of the two, or a file without a key', async () => {
    const { logger } = await take(KEY);
    const none = { setting: undefined, file: undefined, secrets: createKnownSecrets(), logger };
    await expect(createUpstreamKey(none)).rejects.toThrow(/SEGMIND_API_KEY or SEGMIND_API_KEY_FILE must be set/);
    await expect(take()).rejects.toThrow(SettingsError);
    await expect(take()).rejects.toThrow('SEGMIND_API_KEY_FILE must be the path of a file, but there is no such file');
  });

  it('is another key once the file holds one and it is looked at', async () => {
    await writeFile(file, KEY);
    const { key, lines } = await take();
    expect([key.current(), key.version]).toEqual([KEY, 1]);
    await writeFile(file, `${OTHER}\n`);
    expect(key.current()).toBe(KEY);
    expect(await key.refresh()).toBe(true);
    expect([key.current(), key.version]).toEqual([OTHER, 2]);
    expect(await key.refresh()).toBe(false);
    expect(key.version).toBe(2);
    expect(lines.join('')).not.toMatch(new RegExp(`${KEY}|${OTHER}`));
  });

  it('follows a mounted secret, whose folder is swapped behind a link', async () => {
    for (const [name, text] of [
      ['first', KEY],
      ['second', OTHER],
    ] as const) {
      await mkdir(join(folder, name));
      await writeFile(join(folder, name, 'key'), text);
    }
    await symlink('first', join(folder, 'data'));
    await symlink('data/key', file);
    const { key } = await take();
    await symlink('second', join(folder, 'data.new'));
    await rename(join(folder, 'data.new'), join(folder, 'data'));
    expect(await key.refresh()).toBe(true);
    expect(key.current()).toBe(OTHER);
  });

  it('keeps the key while the file is missing or broken, logs it once, and goes on with the next', async () => {
    await writeFile(file, KEY);
    const { key, lines, levels } = await take();
    await rm(file);
    expect([await key.refresh(), await key.refresh()]).toEqual([false, false]);
    await writeFile(file, 'half a key');
    expect([await key.refresh(), await key.refresh(), key.current()]).toEqual([false, false, KEY]);
    expect(levels()).toEqual([40]);
    expect(lines[0]).toContain('SEGMIND_API_KEY_FILE');

    await writeFile(file, KEY);
    expect([await key.refresh(), key.current(), key.version]).toEqual([false, KEY, 1]);
    await writeFile(file, '');
    expect(await key.refresh()).toBe(false);
    expect(levels().filter((level) => level >= 40)).toEqual([40, 40]);
    await writeFile(file, OTHER);
    expect([await key.refresh(), key.current()]).toEqual([true, OTHER]);
    expect(lines.join('')).not.toMatch(new RegExp(`half a key|${KEY}|${OTHER}`));
  });

  it('tells all who look at the same time', async () => {
    await writeFile(file, KEY);
    const { key } = await take();
    await writeFile(file, OTHER);
    expect(await Promise.all([key.refresh(), key.refresh(), key.refresh()])).toEqual([true, true, true]);
    expect(key.version).toBe(2);
  });

  it('hides every key that was ever read, whatever it looks like, in texts and in the log', async () => {
    await writeFile(file, OTHER);
    const { key, lines, logger } = await take();
    await writeFile(file, 'also-unlike-any-shape');
    await key.refresh();
    logger.warn({ said: `${OTHER} and also-unlike-any-shape` }, 'said');
    expect(lines.at(-1)).toContain('"said":"[redacted] and [redacted]"');
    expect(key.hide(`old ${OTHER}, new also-unlike-any-shape`)).toBe('old [redacted], new [redacted]');
  });
});
