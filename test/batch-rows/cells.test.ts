import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MODEL_DEFAULTS, readCsv, refusal } from './reading.ts';

const one = (parameter: string, cell: string, options = {}) =>
  readCsv(
    [
      ['prompt', parameter],
      ['a', cell],
    ],
    options,
  );
const value = (parameter: string, cell: string) => one(parameter, cell).inputs[0]?.[parameter];

describe('a cell', () => {
  it('that is blank takes the default of the batch, else of the model', () => {
    for (const blank of ['', ' ', '\t\u00a0\u3000', '\ufeff']) {
      expect(value('negative_prompt', blank)).toBe(MODEL_DEFAULTS.negative_prompt);
      expect(value('steps', blank)).toBe(30);
      const { inputs } = one('negative_prompt', blank, { defaults: { negative_prompt: '', steps: 11 } });
      expect(inputs).toMatchObject([{ negative_prompt: '', steps: 11 }]);
    }
  });

  it.each([
    ['steps', '30', 30],
    ['steps', ' 30 ', 30],
    ['steps', '30.0', 30],
    ['steps', '30.00', 30],
    ['guidance_scale', '5.5', 5.5],
    ['guidance_scale', '7', 7],
    ['seed', '0', 0],
    ['seed', '-0', 0],
    ['seed', '4294967295', 4_294_967_295],
    ['base64', 'FALSE', false],
    ['batch_size', '1', 1],
    ['aspect_ratio', '16:9', '16:9'],
  ])('of %s may be %j, which is %j', (parameter, cell, expected) => {
    expect(value(parameter, cell)).toBe(expected);
  });

  it.each([
    ['steps', '5,5', 'wrong_type', undefined],
    ['guidance_scale', '5,5', 'wrong_type', 'Write 5.5.'],
    ['width', '1,024', 'wrong_type', 'Write 1024.'],
    ['steps', '30.5', 'wrong_type', undefined],
    ['steps', '030', 'wrong_type', 'Write 30.'],
    ['steps', '+30', 'wrong_type', 'Write 30.'],
    ['steps', '3e1', 'wrong_type', 'Write 30.'],
    ['width', '512px', 'wrong_type', 'Write 512.'],
    ['guidance_scale', '.5', 'wrong_type', undefined],
    ['guidance_scale', '5.', 'wrong_type', 'Write 5.'],
    ['steps', '0x1e', 'wrong_type', undefined],
    ['steps', '１２', 'wrong_type', undefined],
    ['steps', 'Infinity', 'wrong_type', undefined],
    ['steps', 'NaN', 'wrong_type', undefined],
    ['steps', '99', 'out_of_range', undefined],
    ['steps', '-30', 'out_of_range', undefined],
    ['guidance_scale', '5.55555555555555555555', 'wrong_type', undefined],
    ['seed', 'Random', 'wrong_type', 'Write random.'],
    ['seed', '4294967296', 'out_of_range', undefined],
    ['sampler', 'Euler', 'invalid_format', 'Write euler.'],
    ['sampler', ' euler', 'invalid_format', 'Write euler.'],
    ['sampler', 'euler a', 'invalid_format', undefined],
    ['batch_size', '4', 'out_of_range', undefined],
    ['base64', 'true', 'out_of_range', undefined],
    ['base64', 'no', 'wrong_type', undefined],
  ])('of %s cannot be %j: %s', (parameter, cell, code, hint) => {
    const { problems } = one(parameter, cell);
    expect(problems).toMatchObject([{ line: 2, column: parameter, code, value: cell }]);
    expect(problems[0]?.detail).toContain(`${parameter} must be `);
    if (hint === undefined) expect(problems[0]?.detail).not.toContain('Write ');
    else expect(problems[0]?.detail).toContain(hint);
  });

  it('of a number is read exactly as JavaScript would write it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 10, max: 150 }), fc.integer({ min: 0, max: 999 }), (tenths, more) => {
        const text = `${Math.floor(tenths / 10)}.${String(more).padStart(3, '0')}`;
        fc.pre(Number(text) <= 15);
        expect(value('guidance_scale', text)).toBe(Number(text));
      }),
    );
  });

  it('of text is kept byte for byte', () => {
    const texts = fc.string({ unit: 'binary', maxLength: 50 }).filter((text) => text.isWellFormed() && /\S/.test(text));
    fc.assert(
      fc.property(texts, texts, (prompt, negative) => {
        const { inputs, accepted } = readCsv([
          ['prompt', 'negative_prompt'],
          [prompt, negative],
        ]);
        expect(inputs).toMatchObject([{ prompt, negative_prompt: negative }]);
        expect(accepted[0]?.input).toBeUndefined();
      }),
    );
  });
});

describe('a seed', () => {
  const seed = () => 4711;
  const table = (cell: string) => [
    ['prompt', 'seed'],
    ['a', cell],
  ];

  it.each(['', ' ', 'random', '-1'])('of %j is drawn', (cell) => {
    expect(readCsv(table(cell), {}, { seed }).accepted).toMatchObject([{ seed: 4711 }]);
  });

  it('that is blank takes the default, and random still draws one', () => {
    const defaults = { seed: 7 };
    expect(readCsv(table(''), { defaults }, { seed }).accepted).toMatchObject([{ seed: 7 }]);
    expect(readCsv(table('random'), { defaults }, { seed }).accepted).toMatchObject([{ seed: 4711 }]);
    expect(readCsv(table(''), { defaults: { seed: 'random' } }, { seed }).accepted).toMatchObject([{ seed: 4711 }]);
  });

  it('is drawn anew for each row, from what every sampler takes', () => {
    const rows = readCsv([['prompt'], ...Array.from({ length: 3000 }, () => ['a'])]).accepted;
    expect(new Set(rows.map((row) => row.seed)).size).toBeGreaterThan(2990);
    for (const row of rows) expect(row.seed >= 0 && row.seed < 2 ** 31 && Number.isInteger(row.seed)).toBe(true);
  });
});

describe('defaults', () => {
  const header = [['prompt'], ['a']];

  it('are checked as parameters, all at once', () => {
    const defaults = { steps: 99, wdith: 1, guidance_scale: '5,5', batch_size: 3, base64: true, seed: -2 };
    const error = refusal(() => readCsv(header, { defaults }));
    expect(error.code).toBe('invalid_defaults');
    expect(error.problems?.map(({ column, code }) => [column, code])).toEqual([
      ['wdith', 'unknown_parameter'],
      ['steps', 'out_of_range'],
      ['guidance_scale', 'wrong_type'],
      ['seed', 'out_of_range'],
      ['batch_size', 'out_of_range'],
      ['base64', 'out_of_range'],
    ]);
    expect(error.message).toContain('Did you mean width?');
  });

  it('may be texts of numbers, as forms send them, and null', () => {
    const { base } = readCsv(header, { defaults: { steps: '25', width: null } });
    expect(base).toEqual({ ...MODEL_DEFAULTS, steps: 25 });
  });

  it('cannot have a prompt beside a template for it', () => {
    const options = { defaults: { prompt: 'x' }, prompt_template: '{{prompt}}' };
    expect(refusal(() => readCsv(header, options)).code).toBe('invalid_defaults');
  });

  it.each(['__proto__', 'constructor'])('do not take %s for a parameter', (name) => {
    const defaults = JSON.parse(`{"${name}": {"steps": 10}}`) as Record<string, unknown>;
    expect(refusal(() => readCsv(header, { defaults })).code).toBe('invalid_defaults');
  });
});
