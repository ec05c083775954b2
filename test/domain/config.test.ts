import { createHash } from 'node:crypto';
import { readConfig, requireRedisUrl, SETTINGS } from '@renderyard/shared/config';
import { SettingsError } from '@renderyard/shared/settings';
import { describe, expect, it } from 'vitest';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const keysOf = (list: string) => readConfig({ RENDERYARD_API_KEYS: list }).RENDERYARD_API_KEYS;

describe('readConfig', () => {
  it('needs nothing', () => {
    expect(readConfig({})).toMatchObject({
      PORT: 8080,
      PUBLIC_URL: 'http://127.0.0.1:8080',
      SEGMIND_CONCURRENCY: 20,
      WORKER_CONCURRENCY: 20,
      FEED_WINDOW: 40,
      CREDIT_RESUME: 1,
      floor: 0,
      resume: 1_000_000_000,
      RENDERYARD_API_KEYS: [],
      SECRET_KEY: undefined,
    });
  });

  it('lets the concurrency of the account decide what is not set beside it', () => {
    expect(readConfig({ SEGMIND_CONCURRENCY: '7' })).toMatchObject({ WORKER_CONCURRENCY: 7, FEED_WINDOW: 14 });
    expect(
      readConfig({ SEGMIND_CONCURRENCY: '7', WORKER_CONCURRENCY: '3', FEED_WINDOW: '5', CREDIT_LOW: '4' }),
    ).toMatchObject({ WORKER_CONCURRENCY: 3, FEED_WINDOW: 5, CREDIT_RESUME: 4 });
  });

  it('reads credits exactly', () => {
    expect(readConfig({ CREDIT_FLOOR: '123456.1' }).floor).toBe(123_456_100_000_000);
    expect(readConfig({ CREDIT_FLOOR: '0.1', CREDIT_RESUME: '0.3' })).toMatchObject({ floor: 1e8, resume: 3e8 });
  });

  it('reports everything that is wrong at once and repeats no secret', () => {
    const secrets = {
      RENDERYARD_API_KEYS: 'no-colon-here-but-a-secret',
      SECRET_KEY: 'c2hvcnQgc2VjcmV0',
      SEGMIND_API_KEY: 'SG_0123\u00070123456789abcdef',
      REDIS_URL: 'http://user:password-of-redis@host',
    };
    try {
      readConfig({ ...secrets, PORT: '99999', LOG_LEVEL: 'loud' });
      expect.unreachable();
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error;
      expect(error.problems.map((problem) => problem.split(' ')[0]).sort()).toEqual(
        [...Object.keys(secrets), 'PORT', 'LOG_LEVEL'].sort(),
      );
      for (const secret of Object.values(secrets)) expect(error.message).not.toContain(secret);
      expect(error.message).not.toContain('password-of-redis');
    }
  });

  it('takes the upstream’s key or the file that holds it, and says which two are one too many', () => {
    expect(readConfig({ SEGMIND_API_KEY_FILE: '/run/secrets/key', SEGMIND_API_KEY: ' ' })).toMatchObject({
      SEGMIND_API_KEY: undefined,
      SEGMIND_API_KEY_FILE: '/run/secrets/key',
    });
    const both = { SEGMIND_API_KEY: 'SG_0123456789abcdef', SEGMIND_API_KEY_FILE: '/run/secrets/key', PORT: 'eighty' };
    expect(() => readConfig(both)).toThrow(
      /SEGMIND_API_KEY and SEGMIND_API_KEY_FILE are both set\. Set one.*PORT must be/s,
    );
    expect(() => readConfig(both)).not.toThrow('0123456789abcdef');
  });

  it('has a name for every setting that an environment can hold', () => {
    for (const name of Object.keys(SETTINGS)) expect(name).toMatch(/^[A-Z][A-Z0-9_]*$/);
  });
});

describe('PUBLIC_URL', () => {
  it.each([
    [{}, 'http://127.0.0.1:8080'],
    [{ HOST: '0.0.0.0', PORT: '80' }, 'http://0.0.0.0:80'],
    [{ HOST: '::1' }, 'http://[::1]:8080'],
    [{ HOST: '[::1]' }, 'http://[::1]:8080'],
    [{ HOST: 'fe80::1', PORT: '9' }, 'http://[fe80::1]:9'],
    [{ PUBLIC_URL: 'https://render.example/' }, 'https://render.example'],
    [{ PUBLIC_URL: 'https://render.example/base//' }, 'https://render.example/base'],
    [{ PUBLIC_URL: 'http://[2001:db8::1]:8080' }, 'http://[2001:db8::1]:8080'],
  ])('of %j is %s', (env: Record<string, string>, expected) => {
    const { PUBLIC_URL } = readConfig(env);
    expect(PUBLIC_URL).toBe(expected);
    expect(URL.canParse(`${PUBLIC_URL}/v1/jobs`)).toBe(true);
  });
});

describe('METRICS_HOST', () => {
  it('takes an address of IPv6 with brackets and without, as HOST does', () => {
    for (const given of ['::1', '[::1]'])
      expect(readConfig({ HOST: given, METRICS_HOST: given })).toMatchObject({ HOST: '::1', METRICS_HOST: '::1' });
  });
});

describe('SEGMIND_BASE_URL', () => {
  it('loses the slashes at its end, so that paths can be put behind it', () => {
    expect(readConfig({ SEGMIND_BASE_URL: 'http://127.0.0.1:9//' }).SEGMIND_BASE_URL).toBe('http://127.0.0.1:9');
  });
});

describe('RENDERYARD_API_KEYS', () => {
  it('takes secrets and hashes of secrets, and keeps no secret', () => {
    const hash = sha256('second secret');
    expect(keysOf(`one:first secret, two:sha256:${hash.toUpperCase()},three:a:b:c`)).toEqual([
      { name: 'one', sha256: sha256('first secret') },
      { name: 'two', sha256: hash },
      { name: 'three', sha256: sha256('a:b:c') },
    ]);
  });

  it.each([
    ['no colon', 'one'],
    ['no secret', 'one:'],
    ['no name', ':secret'],
    ['a name with a space', 'o ne:secret'],
    ['a name of 41 letters', `${'a'.repeat(41)}:secret`],
    ['the same name twice', 'one:a,one:b'],
    ['an empty entry', 'one:a,,two:b'],
    ['a comma at the end', 'one:a,'],
    ['a hash that is too short', `one:sha256:${'a'.repeat(63)}`],
    ['a hash that is too long', `one:sha256:${'a'.repeat(65)}`],
    ['a hash that is none', `one:sha256:${'g'.repeat(64)}`],
  ])('refuses %s', (_, list) => {
    expect(() => keysOf(list)).toThrow(/^(?=.*RENDERYARD_API_KEYS must be)/s);
  });
});

describe('SECRET_KEY', () => {
  it('is 32 bytes in base64', () => {
    const key = Buffer.alloc(32, 7);
    expect(readConfig({ SECRET_KEY: key.toString('base64') }).SECRET_KEY).toEqual(key);
    for (const bytes of [31, 33, 64])
      expect(() => readConfig({ SECRET_KEY: Buffer.alloc(bytes, 7).toString('base64') })).toThrow('32 bytes in base64');
    expect(() => readConfig({ SECRET_KEY: key.toString('hex') })).toThrow('32 bytes in base64');
  });
});

describe('requireRedisUrl', () => {
  it('says what brings a Redis where none is given', () => {
    expect(requireRedisUrl(readConfig({ REDIS_URL: 'rediss://host:1' }))).toBe('rediss://host:1');
    expect(() => requireRedisUrl(readConfig({}))).toThrow('REDIS_URL must be set');
  });
});
