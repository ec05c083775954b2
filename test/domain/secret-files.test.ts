import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readApiSettings, shortKeys } from '@renderyard/api/api-settings';
import { readConfig } from '@renderyard/shared/config';
import { readSecretFiles } from '@renderyard/shared/secret-files';
import { SettingsError } from '@renderyard/shared/settings';
import { describe, expect, it } from 'vitest';

const SECRET_KEY = Buffer.alloc(32, 7).toString('base64');

/** A folder with files in it, and the path of each. */
async function openFolder(files: Record<string, string> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'renderyard-secrets-'));
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return {
    at: (name: string) => join(folder, name),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

function problemsOf(read: () => unknown): readonly string[] {
  try {
    read();
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  throw new Error('Nothing was wrong.');
}

describe('readSecretFiles', () => {
  it('puts what the files hold in place of their names, without the white space around it', async () => {
    await using folder = await openFolder({
      keys: '\n ann:a-secret-of-some-length\n',
      url: 'redis://:word@host:1\r\n',
    });
    const { env, problems } = readSecretFiles({
      PORT: '81',
      RENDERYARD_API_KEYS_FILE: folder.at('keys'),
      REDIS_URL_FILE: ` ${folder.at('url')} `,
      SECRET_KEY_FILE: '',
    });
    expect(env).toEqual({
      PORT: '81',
      RENDERYARD_API_KEYS: 'ann:a-secret-of-some-length',
      REDIS_URL: 'redis://:word@host:1',
      SECRET_KEY_FILE: '',
    });
    expect(problems.size).toBe(0);
    expect(readSecretFiles(env).env).toEqual(env);
  });

  it('refuses a value that is given twice, and reads the file where the value is empty', async () => {
    await using folder = await openFolder({ key: SECRET_KEY });
    const both = readSecretFiles({ SECRET_KEY, SECRET_KEY_FILE: folder.at('key') });
    expect(both.problems.get('SECRET_KEY')).toMatch(/^SECRET_KEY and SECRET_KEY_FILE are both set\. Set one/);
    expect(readSecretFiles({ SECRET_KEY: ' ', SECRET_KEY_FILE: folder.at('key') }).env).toEqual({ SECRET_KEY });
  });

  it('says which file cannot be used, and why', async () => {
    await using folder = await openFolder({ empty: ' \n', large: 'x'.repeat(1_048_577) });
    await mkdir(folder.at('folder'));
    await promisify(execFile)('mkfifo', [folder.at('pipe')]);
    const problem = (name: string) =>
      readSecretFiles({ WEBHOOK_SECRET_FILE: folder.at(name) }).problems.get('WEBHOOK_SECRET');
    expect(problem('missing')).toBe(
      'WEBHOOK_SECRET_FILE must be the path of a file, but there is no such file (ENOENT).',
    );
    // The secret itself where its file belongs.
    for (const given of [
      'whsec_c2VjcmV0',
      'redis://u:c2VjcmV0@127.0.0.1',
      `${folder.at('empty')}/c2VjcmV0`,
      'c2VjcmV0'.repeat(600),
    ])
      expect(readSecretFiles({ REDIS_URL_FILE: given }).problems.get('REDIS_URL')).toMatch(
        /^REDIS_URL_FILE must be the path/,
      );
    expect(problem('empty')).toContain('which is empty');
    expect(problem('large')).toContain('which has 1048577 bytes');
    expect(problem('folder')).toContain('which is not a file');
    expect(problem('pipe')).toContain('which is not a file');
  });

  it.skipIf(process.getuid?.() === 0)('says that a file may not be read', async () => {
    await using folder = await openFolder({ closed: 'a' });
    await chmod(folder.at('closed'), 0);
    const { problems } = readSecretFiles({ SECRET_KEY_FILE: folder.at('closed') });
    expect(problems.get('SECRET_KEY')).toContain('which this user may not read (EACCES)');
  });

  it('leaves alone the file of the upstream’s key, which is watched', () => {
    const env = { SEGMIND_API_KEY_FILE: '/nowhere/at/all' };
    expect(readSecretFiles(env)).toEqual({ env, problems: new Map() });
  });
});

describe('settings that lie in files', () => {
  it('are read by the same rules, with every problem told at once and no content repeated', async () => {
    await using folder = await openFolder({ key: 'too-short-a-secret', keys: 'ann:a-secret-of-some-length' });
    const env = {
      SECRET_KEY_FILE: folder.at('key'),
      WEBHOOK_SECRET_FILE: folder.at('missing'),
      RENDERYARD_API_KEYS_FILE: folder.at('keys'),
      PORT: 'eighty',
    };
    const problems = problemsOf(() => readConfig(env));
    expect(problems.map((problem) => problem.split(' ')[0]).sort()).toEqual([
      'PORT',
      'SECRET_KEY',
      'WEBHOOK_SECRET_FILE',
    ]);
    expect(problems.join()).not.toContain('too-short-a-secret');
    const { SECRET_KEY_FILE, WEBHOOK_SECRET_FILE, PORT, ...right } = env;
    expect(readConfig(right).RENDERYARD_API_KEYS).toMatchObject([{ name: 'ann' }]);
  });

  it('count for what the API asks of its address and of Redis', async () => {
    await using folder = await openFolder({ keys: 'ann:short', url: 'redis://:word@host:1' });
    const env = {
      HOST: '0.0.0.0',
      RENDERYARD_API_KEYS_FILE: folder.at('keys'),
      REDIS_URL_FILE: folder.at('url'),
    };
    expect(readApiSettings(env).redisUrl).toBe('redis://:word@host:1');
    expect(shortKeys(readSecretFiles(env).env)).toEqual(['ann']);
  });

  it('are the only thing that is told of where a file of theirs cannot be read', () => {
    const env = { HOST: '0.0.0.0', RENDERYARD_API_KEYS_FILE: '/nowhere/keys', REDIS_URL_FILE: '/nowhere/url' };
    const problems = problemsOf(() => readApiSettings(env));
    expect(problems.map((problem) => problem.split(' ')[0]).sort()).toEqual([
      'REDIS_URL_FILE',
      'RENDERYARD_API_KEYS_FILE',
    ]);
  });
});
