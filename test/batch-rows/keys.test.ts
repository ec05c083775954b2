import { foldKey, safeName } from '@renderyard/api/batches/rows/image-key';
import { rowImageKey } from '@renderyard/shared/batch/batch-layout';
import { newId } from '@renderyard/shared/ids';
import { keyProblem } from '@renderyard/shared/store/object-key';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readCsv, readJson } from './reading.ts';

const BATCH = newId('bat');
const FOLDER = `batches/${BATCH}/images/`;

const SPECIAL = [
  '/',
  '\\',
  '..',
  '.',
  ' ',
  '\0',
  '\n',
  '\u202e',
  '\u200d',
  '\ufeff',
  '\u0338',
  '<',
  '>',
  '=',
  ':',
  '*',
  '?',
];
const LETTERS = [
  'a',
  'A',
  'ß',
  'ẞ',
  'ss',
  'SS',
  'İ',
  'ı',
  'i',
  'I',
  'ﬀ',
  'Ａ',
  'é',
  'e\u0301',
  'É',
  'Σ',
  'σ',
  'ς',
  'K',
  'ﬃ',
  'ŉ',
  'ǰ',
  '\u0345',
  '가',
  '\u1100\u1161',
  '🦊',
  '👩‍🚀',
  'CON',
  'nul',
  '1',
  '-',
  '-2',
  '-3',
];
const nasty = fc
  .array(fc.oneof(fc.constantFrom(...SPECIAL, ...LETTERS), fc.string({ unit: 'binary', maxLength: 3 })), {
    minLength: 1,
    maxLength: 6,
  })
  .map((parts) => parts.join(''))
  .filter((text) => text.isWellFormed() && /\S/.test(text));
/** Few letters, so that they meet often. */
const meeting = fc
  .array(fc.constantFrom('a', 'A', 'ß', 'ss', 'ẞ', 'é', 'e\u0301', '-2', '-3', '/', '.'), {
    minLength: 1,
    maxLength: 3,
  })
  .map((parts) => parts.join(''));
const TEMPLATES = [
  '{{id}}',
  '{{a}}-{{id}}',
  '{{a}}/{{id}}',
  'x/{{a}}/{{id}}/{{a}}',
  '.{{a}}',
  '{{a}}.',
  '{{row}}{{a}}',
  '{{a}} {{seed}}',
];

/** All that some file system is known to take for the same. */
const alike = (key: string) => [
  key.normalize('NFKC').toLowerCase().normalize('NFC'),
  key.normalize('NFKC').toUpperCase().normalize('NFC'),
  key.normalize('NFD').toLowerCase(),
  key.normalize('NFD').toUpperCase(),
];

function expectApart(keys: readonly string[]): void {
  for (let form = 0; form < 4; form++) expect(new Set(keys.map((key) => alike(key)[form])).size).toBe(keys.length);
}

function expectInside(key: string): void {
  const path = `${rowImageKey(BATCH, key)}.jpeg`;
  expect(keyProblem(path)).toBeUndefined();
  expect(new URL(path, 'http://store/').pathname.startsWith(`/${FOLDER}`)).toBe(true);
  for (const name of key.split('/')) {
    expect(name).not.toMatch(/^[.\s]|[.\s]$|^$/u);
    expect(Buffer.byteLength(name)).toBeLessThanOrEqual(240);
  }
}

describe('image keys', () => {
  it('of any ids lie inside of the batch and apart from each other', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(nasty, meeting), { minLength: 1, maxLength: 25 }), (ids) => {
        const given = [...new Set(ids)];
        const { keys, rejected } = readCsv([['prompt', 'id'], ...given.map((id) => ['p', id]), ['p', ''], ['p', '']]);
        expect(rejected).toBe(0);
        for (const key of keys) expectInside(key);
        expectApart(keys);
      }),
      { numRuns: 200 },
    );
  });

  it('of any templates and values lie inside of the batch and apart, and all equally deep', () => {
    const row = fc.tuple(fc.oneof(nasty, meeting), fc.oneof(nasty, meeting));
    fc.assert(
      fc.property(
        fc.constantFrom(...TEMPLATES),
        fc.array(row, { minLength: 1, maxLength: 20 }),
        (key_template, rows) => {
          const { keys, problems } = readCsv([['prompt', 'id', 'a'], ...rows.map(([id, a]) => ['p', id, a])], {
            key_template,
          });
          for (const key of keys) expectInside(key);
          expectApart(keys);
          expect(new Set(keys.map((key) => key.split('/').length)).size).toBeLessThanOrEqual(1);
          for (const { code } of problems) expect(['duplicate_id', 'duplicate_key']).toContain(code);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('stay inside whatever is in a long value', () => {
    for (const character of ['a', 'é', '日', '🦊', 'e\u0301', '\u0958', '.', '/'])
      for (const length of [179, 180, 181, 1000, 30_000]) {
        const id = character.repeat(length);
        for (const key_template of ['{{id}}', `${'{{id}}/'.repeat(15)}{{id}}`])
          for (const key of readCsv(
            [
              ['prompt', 'id'],
              ['p', id],
            ],
            { key_template },
          ).keys)
            expectInside(key);
        const { keys } = readCsv([
          ['prompt', 'id'],
          ['p', `${id}1`],
          ['p', `${id}2`],
        ]);
        for (const key of keys) expectInside(key);
        expectApart(keys);
      }
  });

  it('of a half of a surrogate pair are refused', () => {
    for (const id of ['\ud83d', 'a\udd8a'])
      expect(readJson([{ prompt: 'p', id }]).problems).toMatchObject([{ column: 'id', code: 'invalid_format' }]);
  });

  it.each([
    ['a', 'A'],
    ['é', 'e\u0301'],
    ['straße', 'STRASSE'],
    ['straße', 'STRAẞE'],
    ['ｆox', 'fox'],
    ['ﬁ', 'fi'],
    ['Iı', 'iI'],
    ['ΑΣ', 'ας'],
    ['a\u200db', 'ab'],
    ['\u212a', 'k'],
    ['a/b', 'a_b'],
    ['a.', 'a'],
    ['.a', 'a'],
  ])('of the ids %j and %j are kept apart by the number of the row', (a, b) => {
    const { keys, report } = readCsv([
      ['prompt', 'id'],
      ['p', a],
      ['q', b],
    ]);
    expect(keys[1]).toMatch(/-2$/);
    expect(report.warnings.filter(({ code }) => code === 'key_shared')).toHaveLength(1);
  });

  it('are the id, or else the number of the row in six digits or more', () => {
    const { keys } = readCsv([
      ['prompt', 'id'],
      ['a', 'fox-1'],
      ['b', ''],
      ['c', 'Ein Füchslein'],
    ]);
    expect(keys).toEqual(['fox-1', '000002', 'Ein Füchslein']);
    expect(readCsv([['prompt'], ['a'], ['b']]).keys).toEqual(['000001', '000002']);
  });

  it('of a row without an id do not meet an id that looks like its number', () => {
    expect(
      readCsv([
        ['prompt', 'id'],
        ['a', '000002'],
        ['b', ''],
      ]).keys,
    ).toEqual(['000002', '000002-2']);
  });

  it('that had to be changed are told once for all, with the first lines', () => {
    const rows = Array.from({ length: 8 }, (_, i) => ['p', `a:${i}`]);
    const { report } = readCsv([['prompt', 'id'], ...rows]);
    expect(report.warnings).toMatchObject([
      {
        line: 2,
        code: 'key_changed',
        value: 'a:0',
        detail: expect.stringMatching(/^8 images .*a_0.*lines 2, 3, 4, 5, 6, …/),
      },
    ]);
  });
});

describe('safeName', () => {
  it.each([
    ['../../etc/passwd', '_.._etc_passwd'],
    ['a\\b:c*d?e"f<g>h|i', 'a_b_c_d_e_f_g_h_i'],
    ['CON', '_CON'],
    ['nul.txt', '_nul.txt'],
    ['console', 'console'],
    ['...', '_'],
    [' a . ', 'a'],
    ['e\u0301', 'é'],
  ])('makes %j into %j', (text, name) => {
    expect(safeName(text)).toBe(name);
  });

  it('changes nothing when it is given its own result', () => {
    fc.assert(
      fc.property(nasty, (text) => {
        expect(safeName(safeName(text))).toBe(safeName(text));
      }),
    );
  });
});

describe('foldKey', () => {
  it('is the same for all that differs by case or Unicode form alone, and for itself', () => {
    fc.assert(
      fc.property(nasty, (given) => {
        const text = given.normalize('NFC');
        const folded = foldKey(text);
        for (const form of ['NFC', 'NFD', 'NFKC', 'NFKD'] as const) expect(foldKey(text.normalize(form))).toBe(folded);
        expect(foldKey(text.toLowerCase())).toBe(folded);
        expect(foldKey(text.toUpperCase())).toBe(folded);
        expect(foldKey(folded)).toBe(folded);
      }),
      { numRuns: 500 },
    );
  });
});
