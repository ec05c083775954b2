import { readConfig } from '@renderyard/shared/config';
import { createLogger } from '@renderyard/shared/logger';
import { connectRedis } from '@renderyard/shared/redis/connect';
import {
  parseRedisUrl,
  type RedisAddress,
  type RedisLogin,
  type RedisTarget,
} from '@renderyard/shared/redis/redis-url';
import { readStandaloneSettings } from '@renderyard/standalone/standalone-settings';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const login = fc.oneof(
  fc.constant<RedisLogin>({}),
  fc.string({ minLength: 1, unit: 'binary' }).map((password) => ({ password })),
  fc.record({ username: fc.string({ minLength: 1, unit: 'binary' }), password: fc.string({ unit: 'binary' }) }),
);
const sentinelLogin = fc.oneof(
  fc.constant<RedisLogin>({}),
  fc.string({ minLength: 1, unit: 'binary' }).map((password) => ({ password })),
  fc.record({
    username: fc.string({ minLength: 1, unit: 'binary' }),
    password: fc.string({ minLength: 1, unit: 'binary' }),
  }),
);
const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6(), fc.constantFrom('localhost', 'redis_1'));
const address = fc.record({ host, port: fc.integer({ min: 1, max: 65_535 }) });
const list = (least: number) =>
  fc.array(address, { minLength: least, maxLength: 5 }).map((all) => all as [RedisAddress, ...RedisAddress[]]);
const db = fc.integer({ min: 0, max: 999_999_999 });
const tls = fc.boolean();
const master = fc.stringMatching(/^[A-Za-z0-9_.-]{1,40}$/);
const target: fc.Arbitrary<RedisTarget> = fc.oneof(
  fc.record({ kind: fc.constant('single' as const), tls, login, address, db }),
  fc.record({ kind: fc.constant('cluster' as const), tls, login, nodes: list(2) }),
  fc.record({ kind: fc.constant('sentinel' as const), tls, login, sentinels: list(1), sentinelLogin, master, db }),
);

const wellFormed = (text: string | undefined) => text === undefined || text.isWellFormed();
const writable = ({ username, password }: RedisLogin) => wellFormed(username) && wellFormed(password);

/** Writes a URL with everything spelled out. */
function write(target: RedisTarget): string {
  const hosts = (all: readonly RedisAddress[]) =>
    all.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(',');
  const encode = (text = '') => encodeURIComponent(text);
  const { username, password } = target.login;
  const user = password === undefined ? '' : `${encode(username)}:${encode(password)}@`;
  const scheme = target.tls ? 'rediss' : 'redis';
  switch (target.kind) {
    case 'single':
      return `${scheme}://${user}${hosts([target.address])}/${target.db}`;
    case 'cluster':
      return `${scheme}://${user}${hosts(target.nodes)}`;
    case 'sentinel': {
      const query = Object.entries(target.sentinelLogin).map(([name, value]) => `sentinel_${name}=${encode(value)}`);
      return `${scheme}+sentinel://${user}${hosts(target.sentinels)}/${target.master}/${target.db}?${query.join('&')}`;
    }
  }
}

describe('parseRedisUrl', () => {
  test('reads back every target as it was written', () => {
    fc.assert(
      fc.property(target, (one) => {
        fc.pre(writable(one.login) && (one.kind !== 'sentinel' || writable(one.sentinelLogin)));
        expect(parseRedisUrl(write(one))).toEqual(one);
      }),
    );
  });

  test('refuses or reads any text, and throws for none', () => {
    const nearly = fc
      .array(
        fc.constantFrom(
          'redis',
          'rediss',
          '+sentinel',
          '+cluster',
          '://',
          'h',
          ':',
          '@',
          ',',
          '/',
          '?',
          '%',
          '[',
          ']',
          '1',
        ),
      )
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), nearly), (text) => {
        const read = parseRedisUrl(text);
        if (read !== undefined) expect(parseRedisUrl(write(read))).toBeDefined();
      }),
      { numRuns: 1000 },
    );
  });

  test.each<[string, RedisTarget]>([
    ['redis://cache', { kind: 'single', tls: false, login: {}, address: { host: 'cache', port: 6379 }, db: 0 }],
    ['redis://cache/', { kind: 'single', tls: false, login: {}, address: { host: 'cache', port: 6379 }, db: 0 }],
    ['redis://:@cache', { kind: 'single', tls: false, login: {}, address: { host: 'cache', port: 6379 }, db: 0 }],
    [
      'REDISS://:p%40ss+@[::1]:7000/3',
      { kind: 'single', tls: true, login: { password: 'p@ss+' }, address: { host: '::1', port: 7000 }, db: 3 },
    ],
    [
      'redis://user:a:b@h1,h2:7001',
      {
        kind: 'cluster',
        tls: false,
        login: { username: 'user', password: 'a:b' },
        nodes: [
          { host: 'h1', port: 6379 },
          { host: 'h2', port: 7001 },
        ],
      },
    ],
    [
      'rediss+cluster://entry.example',
      { kind: 'cluster', tls: true, login: {}, nodes: [{ host: 'entry.example', port: 6379 }] },
    ],
    [
      'redis+sentinel://:secret@s1,s2:26380/my.master-1?sentinel_password=a%26b+',
      {
        kind: 'sentinel',
        tls: false,
        login: { password: 'secret' },
        sentinels: [
          { host: 's1', port: 26_379 },
          { host: 's2', port: 26_380 },
        ],
        sentinelLogin: { password: 'a&b+' },
        master: 'my.master-1',
        db: 0,
      },
    ],
  ])('reads %s', (text, expected) => {
    expect(parseRedisUrl(text)).toEqual(expected);
  });

  test.each([
    ['no host', 'redis://'],
    ['no host but a port', 'redis://:6379'],
    ['another scheme', 'http://host'],
    ['a port beyond the last', 'redis://host:65536'],
    ['the port 0', 'redis://host:0'],
    ['an empty port', 'redis://host:'],
    ['a database that is no number', 'redis://host/first'],
    ['a database of a cluster', 'redis://h1,h2/1'],
    ['an empty host in a list', 'redis://h1,,h2'],
    ['a space in a list', 'redis://h1, h2'],
    ['a scheme for each host', 'redis://h1,redis://h2'],
    ['a login for each host', 'redis://:p@h1,:p@h2'],
    ['one word before the host', 'redis://word@host'],
    ['an @ that is not encoded', 'redis://:p@ss@host'],
    ['a % that encodes nothing', 'redis://:100%@host'],
    ['bytes that are no text', 'redis://:%ff@host'],
    ['IPv6 without brackets', 'redis://::1'],
    ['brackets around a name', 'redis://[host]'],
    ['parameters that are not known', 'redis://host?family=6'],
    ['a fragment', 'redis://host#1'],
    ['sentinels without a master', 'redis+sentinel://host'],
    ['sentinels with too long a path', 'redis+sentinel://host/yard/0/1'],
    ['a sentinel user without a password', 'redis+sentinel://host/yard?sentinel_username=me'],
    ['a sentinel password given twice', 'redis+sentinel://host/yard?sentinel_password=a&sentinel_password=b'],
  ])('refuses %s', (_, text) => {
    expect(parseRedisUrl(text)).toBeUndefined();
  });
});

describe('REDIS_URL', () => {
  const sentinels = 'redis+sentinel://:secret@s1,s2/yard';

  test('is kept as it was given', () => {
    expect(readConfig({ REDIS_URL: sentinels }).REDIS_URL).toBe(sentinels);
  });

  test('is refused with the forms that it may have, and without its password', () => {
    const read = () => readConfig({ REDIS_URL: 'redis+sentinel://:hunter2@s1' });
    expect(read).toThrow(/REDIS_URL must be redis:.*redis\+sentinel:.*master-name/);
    expect(read).not.toThrow('hunter2');
  });

  test('in any form keeps the all-in-one process from starting a Redis of its own', () => {
    for (const url of [sentinels, 'redis://h1,h2', 'rediss+cluster://entry'])
      expect(readStandaloneSettings({ REDIS_URL: url }).redisUrl).toBe(url);
  });

  test('that cannot be read is not connected to', () => {
    expect(() => connectRedis('redis://', 'api', createLogger({ service: 'test', level: 'silent' }))).toThrow(
      'The URL of Redis must be',
    );
  });
});
