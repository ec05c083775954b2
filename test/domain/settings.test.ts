import {
  decimal,
  flag,
  host,
  integer,
  oneOf,
  readSettings,
  type Setting,
  SettingsError,
  text,
  url,
} from '@renderyard/shared/settings';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const read = <T>(setting: Setting<T>, value: string | undefined): T =>
  readSettings(value === undefined ? {} : { NAME: value }, { NAME: setting }).NAME;
const problemsOf = (act: () => unknown): readonly string[] => {
  try {
    act();
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  return [];
};

describe('readSettings', () => {
  it('reports every problem at once, one sentence each, by the name of its variable', () => {
    const env = { A: 'x', B: '11', C: 'maybe', D: 'ftp://x', E: 'fine' };
    const settings = {
      A: integer(0, 9, 1),
      B: decimal(0, 10, 1),
      C: flag(true),
      D: url(['http:'], undefined),
      E: text(''),
    };
    const problems = problemsOf(() => readSettings(env, settings));
    expect(problems.map((problem) => problem.split(' ')[0])).toEqual(['A', 'B', 'C', 'D']);
    expect(() => readSettings(env, settings)).toThrow(problems.join('\n- '));
  });

  it('says what would be right and what is there', () => {
    expect(problemsOf(() => read(integer(1, 5, 3), '9'))).toEqual([
      'NAME must be a whole number from 1 to 5, but is "9".',
    ]);
  });

  it.each(['API_KEY', 'SECRET', 'WEBHOOK_SECRET', 'REDIS_URL'])('does not repeat the value of %s', (name) => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z0-9]{8,40}$/), (secret) => {
        const never: Setting<string> = { expects: 'another', fallback: '', parse: () => undefined };
        expect(problemsOf(() => readSettings({ [name]: secret }, { [name]: never })).join()).not.toContain(secret);
      }),
    );
  });

  it('takes an empty or blank variable for one that is not set', () => {
    for (const value of [undefined, '', '  ', '\t']) expect(read(integer(1, 5, 3), value)).toBe(3);
  });
});

describe('integer', () => {
  it('takes every whole number of its range and nothing beside it', () => {
    fc.assert(
      fc.property(fc.integer({ min: -2000, max: 2000 }), (value) => {
        const inside = value >= -1000 && value <= 1000;
        expect(problemsOf(() => read(integer(-1000, 1000, 0), String(value))).length).toBe(inside ? 0 : 1);
        if (inside) expect(read(integer(-1000, 1000, 0), String(value))).toBe(value);
      }),
    );
  });

  it.each(['1.0', '1e3', '0x10', '１', '1 2', '+1', 'NaN', 'Infinity', '--1', '9'.repeat(16)])(
    'refuses %j',
    (value) => {
      expect(() => read(integer(-1e15, 1e15, 0), value)).toThrow(SettingsError);
    },
  );
});

describe('decimal', () => {
  it.each(['0', '0.5', '10', '10.000'])('takes %j', (value) => {
    expect(read(decimal(0, 10, undefined), value)).toBe(Number(value));
  });

  it.each(['-0.1', '10.0001', '1e1', '.5', '5.', '1,5', 'NaN'])('refuses %j', (value) => {
    expect(() => read(decimal(0, 10, undefined), value)).toThrow(SettingsError);
  });
});

describe('flag', () => {
  it.each([
    ['true', true],
    ['TRUE', true],
    ['1', true],
    ['false', false],
    ['0', false],
  ] as const)('reads %j as %s', (value, expected) => {
    expect(read(flag(!expected), value)).toBe(expected);
  });

  it.each(['yes', 'on', '2', 'constructor', '__proto__', 'toString', 'hasOwnProperty'])('refuses %j', (value) => {
    expect(() => read(flag(false), value)).toThrow('NAME must be true or false');
  });
});

describe('oneOf', () => {
  it('takes its own words and no others', () => {
    expect(read(oneOf(['a', 'b'], 'a'), 'b')).toBe('b');
    for (const value of ['A', 'c', 'constructor'])
      expect(() => read(oneOf(['a', 'b'], 'a'), value)).toThrow('one of a, b');
  });
});

describe('text', () => {
  it('takes up to its length and no control characters', () => {
    expect(read(text(undefined, 3), 'äöü')).toBe('äöü');
    for (const value of ['abcd', 'a\nb', 'a\u0000', 'a\u007f'])
      expect(() => read(text(undefined, 3), value)).toThrow(SettingsError);
  });
});

describe('url', () => {
  it.each(['http://a', 'HTTP://a:8080/b', 'https://[::1]:8080', 'https://user:pass@host/path'])('takes %j', (value) => {
    expect(read(url(['http:', 'https:'], undefined), value)).toBe(value);
  });

  it.each(['a', '//a', 'ftp://a', 'http:', 'http://', 'http:a', 'https:/a', 'http://a b', 'http://a:99999'])(
    'refuses %j, which does not begin as it says',
    (value) => {
      expect(() => read(url(['http:', 'https:'], undefined), value)).toThrow(
        'a URL that begins with http:// or https://',
      );
    },
  );

  it('refuses a Redis URL that names no host', () => {
    for (const value of ['redis:6379', 'redis:localhost', 'redis:/0'])
      expect(() => read(url(['redis:', 'rediss:'], undefined), value)).toThrow(SettingsError);
  });
});

describe('host', () => {
  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['render.example', 'render.example'],
    ['::1', '::1'],
    ['[::1]', '::1'],
    ['[fe80::1%eth0]', 'fe80::1%eth0'],
  ])('takes %s for %s', (value, expected) => expect(read(host('localhost'), value)).toBe(expected));

  it.each(['[localhost]', '[127.0.0.1]', '[::1', '::1]', '[]', '[[::1]]', '[::1]:8080', 'a'.repeat(256)])(
    'refuses %s, and says what would be right',
    (value) =>
      expect(problemsOf(() => read(host('localhost'), value))).toEqual([
        expect.stringMatching(/^NAME must be a host name or an IP address of at most 255 characters, but is "/),
      ]),
  );
});
