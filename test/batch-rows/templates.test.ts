import { parseTemplate, type TemplatePiece } from '@renderyard/api/batches/rows/template';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readCsv, readJson, refusal } from './reading.ts';

const literal = fc
  .string({ unit: 'grapheme', maxLength: 12 })
  .filter((text) => !/[{}]/.test(text) && text.isWellFormed());
const cell = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  .filter((text) => /\S/.test(text) && text.isWellFormed());

describe('parseTemplate', () => {
  it('gives back what a template was put together from', () => {
    const name = fc.constantFrom('a', 'B b', 'é', 'x:y');
    const piece = fc.oneof(
      literal.map((text) => ({ text })),
      name.map((of) => ({ name: of })),
    );
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 8 }), fc.constantFrom('', ' '), (pieces, space) => {
        const template = pieces.map((one) => ('text' in one ? one.text : `{{${space}${one.name}${space}}}`)).join('');
        fc.pre(template.trim() !== '');
        const parsed = parseTemplate('prompt_template', template);
        const joined = (all: readonly TemplatePiece[]) =>
          all.map((one) => ('text' in one ? one.text : `<${one.name}>`)).join('');
        expect(joined([...parsed])).toBe(joined(pieces));
      }),
    );
  });

  it.each(['{{a', 'x {{a} y', '}}', 'a}} {{b}}', '{{}}', '{{ }}', '{{{a}}}', '{{a{{b}}', '', ' ', '{{a\ud800}}'])(
    'refuses %j, saying where',
    (template) => {
      const error = refusal(() => parseTemplate('prompt_template', template));
      expect(error.code).toBe('invalid_template');
      expect(error.message).toMatch(/^prompt_template cannot be read: /);
    },
  );

  it('takes single braces as they are', () => {
    expect(parseTemplate('prompt_template', 'a {b} {')).toEqual([{ text: 'a {b} {' }]);
  });
});

describe('prompt_template', () => {
  it('puts each cell in exactly once and exactly as it is', () => {
    fc.assert(
      fc.property(cell, cell, literal, literal, (a, b, between, after) => {
        const options = { prompt_template: `{{ A }}${between}{{b}}${after}{{a}}` };
        const { inputs, accepted } = readCsv(
          [
            ['a', 'B'],
            [a, b],
          ],
          options,
        );
        expect(inputs).toMatchObject([{ prompt: `${a}${between}${b}${after}${a}` }]);
        expect(accepted[0]?.values).toEqual([a, b]);
      }),
    );
  });

  it('never reads again what it has put in', () => {
    const { inputs } = readCsv(
      [
        ['a', 'b'],
        ['{{b}}', '$& }} {{'],
      ],
      { prompt_template: '{{a}} {{b}}' },
    );
    expect(inputs).toMatchObject([{ prompt: '{{b}} $& }} {{' }]);
  });

  it('naming a column that is not there is refused, with the list and the nearest', () => {
    const error = refusal(() => readCsv([['animal', 'style']], { prompt_template: 'A {{anmal}} in {{stile}}' }));
    expect(error.code).toBe('unknown_column');
    expect(error.message).toContain('"anmal", "stile"');
    expect(error.message).toContain('Did you mean animal?');
    expect(error.message).toContain('The columns are animal, style.');
  });

  it('rejects a row in which one of its columns is blank, naming each', () => {
    const { problems } = readCsv(
      [
        ['Animal', 'style', 'note'],
        ['  ', '', 'n'],
      ],
      { prompt_template: 'A {{animal}} in {{style}} {{animal}}' },
    );
    expect(problems).toMatchObject([
      { line: 2, column: 'Animal', code: 'template_blank', value: '  ' },
      { line: 2, column: 'style', code: 'template_blank', value: null },
    ]);
  });

  it('rejects a row whose prompt gets too long', () => {
    const { problems } = readCsv([['a'], ['x'.repeat(15_000)]], { prompt_template: '{{a}}{{a}}' });
    expect(problems).toMatchObject([{ column: null, code: 'invalid_format' }]);
    expect(problems[0]?.value).toHaveLength(200);
  });

  it('takes numbers and booleans of JSON, and no lists or objects', () => {
    const options = { prompt_template: '{{n}} {{b}}' };
    expect(readJson([{ n: 3, b: true }], options).inputs).toMatchObject([{ prompt: '3 true' }]);
    expect(readJson([{ n: [3], b: {} }], options).problems).toMatchObject([
      { column: 'n', code: 'wrong_type', value: '[3]' },
      { column: 'b', code: 'wrong_type', value: '{}' },
    ]);
  });

  it('naming a key that no item of JSON has is refused at the end', () => {
    const error = refusal(() => readJson([{ a: 1 }, { b: 2 }], { prompt_template: '{{c}}' }));
    expect(error).toMatchObject({ code: 'unknown_column' });
    expect(error.message).toContain('The columns are a, b.');
  });

  it('finds a name of JSON in any spelling, and rejects an item that has two of them', () => {
    const options = { prompt_template: 'a {{name}}' };
    expect(readJson([{ name: 'x' }, { NAME: 'y' }], options).inputs).toMatchObject([
      { prompt: 'a x' },
      { prompt: 'a y' },
    ]);
    expect(readJson([{ name: 'x', NAME: 'y' }], options).problems).toMatchObject([{ code: 'duplicate_name' }]);
  });
});

describe('key_template', () => {
  const header = ['prompt', 'id', 'style', 'seed'];
  const keys = (key_template: string, row = ['p', 'i7', 'oil', '5']) =>
    readCsv([header, row], { key_template }).keys[0];

  it.each([
    ['{{id}}-{{seed}}', 'i7-5'],
    ['{{ROW}}_{{line}}', '1_2'],
    ['{{style}}/{{id}}', 'oil/i7'],
    ['a b/{{style}}.{{row}}', 'a b/oil.1'],
    ['{{style}}:{{id}}', 'oil_i7'],
  ])('%s gives %s', (template, key) => {
    expect(keys(template)).toBe(key);
  });

  it('uses the seed that was drawn, and draws again where seeds make keys that meet', () => {
    const drawn = [1, 1, 1, 2, 2, 3];
    const seed = () => drawn.shift() ?? 9;
    const { accepted } = readCsv([['prompt'], ['a'], ['b'], ['c']], { key_template: 's{{seed}}' }, { seed });
    expect(accepted.map((row) => [row.key, row.seed])).toEqual([
      ['s1', 1],
      ['s2', 2],
      ['s3', 3],
    ]);
  });

  it('has id where the column is called otherwise', () => {
    const options = { key_template: '{{id}}', columns: { id: 'ref' } };
    expect(
      readCsv(
        [
          ['prompt', 'ref'],
          ['p', 'x'],
        ],
        options,
      ).keys,
    ).toEqual(['x']);
  });

  it.each([
    '/{{id}}',
    '{{id}}/',
    'a//{{id}}',
    '../{{id}}',
    './{{id}}',
    'a/. ./{{id}}',
    ' /{{id}}',
    'same',
    `${'{{id}}/'.repeat(20)}x`,
  ])('%s is refused', (template) => {
    expect(refusal(() => keys(template)).code).toBe('invalid_template');
  });

  it('naming an id is refused where there is none', () => {
    expect(refusal(() => readCsv([['prompt']], { key_template: '{{id}}' })).code).toBe('unknown_column');
    expect(refusal(() => readJson([{ prompt: 'a' }], { key_template: '{{id}}' })).code).toBe('unknown_column');
  });

  it('rejects a row whose key is taken, naming the line that has it, and one with a blank in it', () => {
    const rows = [header, ['a', '1', 'Oil', ''], ['b', '2', 'oil', ''], ['c', '3', '', '']];
    const { problems, keys: taken } = readCsv(rows, { key_template: '{{style}}' });
    expect(taken).toEqual(['Oil']);
    expect(problems).toMatchObject([
      { line: 3, column: null, code: 'duplicate_key', value: 'oil', detail: expect.stringContaining('line 2') },
      { line: 4, column: 'style', code: 'template_blank' },
    ]);
  });

  it('says once what is wrong with an id that it needs', () => {
    const rows = [
      ['prompt', 'custom_id'],
      ['a', 'x'],
      ['b', 'x'],
      ['c', ''],
    ];
    expect(readCsv(rows, { key_template: '{{id}}' }).problems).toMatchObject([
      { line: 3, column: 'custom_id', code: 'duplicate_id' },
      { line: 4, column: 'custom_id', code: 'template_blank' },
    ]);
  });
});
