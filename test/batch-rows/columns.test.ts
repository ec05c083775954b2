import { describe, expect, it } from 'vitest';
import { readCsv, refusal } from './reading.ts';

describe('a header', () => {
  it('is matched without regard to case and white space around names, and kept in its own spelling', () => {
    const { columns, text, inputs, accepted } = readCsv([
      [' Prompt ', 'STEPS', 'Animal', 'Custom_ID'],
      ['a fox', '12', 'fox', 'f-1'],
    ]);
    expect(columns).toEqual([' Prompt ', 'STEPS', 'Animal', 'Custom_ID']);
    expect(text).toEqual({ prompt: 0 });
    expect(inputs).toMatchObject([{ prompt: 'a fox', steps: 12 }]);
    expect(accepted).toMatchObject([{ row: 1, line: 2, id: 'f-1', key: 'f-1', values: ['a fox', '12', 'fox', 'f-1'] }]);
  });

  it('matches names whatever Unicode form they are in', () => {
    const { inputs } = readCsv([['cafe\u0301'], ['au lait']], { prompt_template: 'a {{caf\u00e9}}' });
    expect(inputs).toMatchObject([{ prompt: 'a au lait' }]);
  });

  it('without a prompt is refused, naming what it has', () => {
    const error = refusal(() => readCsv([['text', 'style']]));
    expect(error).toMatchObject({ code: 'no_prompt', line: 1 });
    expect(error.message).toContain('text, style');
    expect(error.message).toContain('columns=prompt:');
  });

  it('needs no prompt with a template, or a default for it', () => {
    expect(readCsv([['a'], ['x']], { prompt_template: 'an {{a}}' }).inputs).toMatchObject([{ prompt: 'an x' }]);
    expect(readCsv([['a'], ['x']], { defaults: { prompt: 'a fox' } }).inputs).toMatchObject([{ prompt: 'a fox' }]);
  });

  it.each([
    [['prompt', 'steps', 'Steps '], 2, 3],
    [['id', 'prompt', 'custom_id'], 1, 3],
    [['prompt', 'a', 'PROMPT'], 1, 3],
  ])('that says the same twice (%j) is refused, naming both places', (header, first, second) => {
    const error = refusal(() => readCsv([header]));
    expect(error.code).toBe('duplicate_column');
    expect(error.message).toContain(`Columns ${first} `);
    expect(error.message).toContain(` and ${second} `);
  });

  it('keeps columns of one name that nothing reads, with a warning, and refuses them where a template does', () => {
    const table = [
      ['prompt', 'note', 'Note'],
      ['a', 'x', 'y'],
    ];
    const { accepted, report } = readCsv(table);
    expect(accepted[0]?.values).toEqual(['a', 'x', 'y']);
    expect(report.warnings).toMatchObject([
      { code: 'repeated_column_name', line: 1, detail: expect.stringContaining('2, 3') },
    ]);
    expect(refusal(() => readCsv(table, { key_template: '{{note}}' })).code).toBe('duplicate_column');
  });

  it('keeps columns without a name, with one warning', () => {
    const { accepted, report } = readCsv([
      ['prompt', '', ' '],
      ['a', 'x', 'y'],
    ]);
    expect(accepted[0]?.values).toEqual(['a', 'x', 'y']);
    expect(report.warnings).toMatchObject([{ code: 'empty_column_name', detail: expect.stringContaining('2, 3') }]);
  });

  it.each([
    ['negative prompt', 'negative_prompt'],
    ['Negative-Prompt', 'negative_prompt'],
    ['cfg', 'guidance_scale'],
    ['guidance', 'guidance_scale'],
    ['width_px', 'width'],
    ['hieght', 'height'],
    ['stpes', 'steps'],
    ['step', 'steps'],
    ['sede', 'seed'],
    ['num_inference_steps', 'steps'],
    ['customid', 'custom_id'],
  ])('that has %s brings %s to mind', (name, meant) => {
    const { report } = readCsv([['prompt', name]]);
    expect(report.warnings).toMatchObject([
      { line: 1, column: name, code: 'misspelt_column', detail: expect.stringContaining(`Did you mean ${meant}?`) },
    ]);
  });

  it.each(['animal', 'style', 'category', 'note', 'challenge', 'x', ''.padEnd(300, 'prompt')])(
    'may have %s without a hint',
    (name) => {
      expect(readCsv([['prompt', name]]).report.warnings).toEqual([]);
    },
  );

  it('gives no hint for what is there already, or used in a template', () => {
    expect(readCsv([['prompt', 'steps', 'step']]).report.warnings).toEqual([]);
    expect(readCsv([['prompt', 'step']], { key_template: '{{step}}' }).report.warnings).toEqual([]);
  });

  it('gives no hint of a prompt that a template writes', () => {
    expect(readCsv([['promt', 'a']], { prompt_template: '{{a}}' }).report.warnings).toEqual([]);
  });

  it('warns of a prompt that a template leaves out', () => {
    const { report, inputs } = readCsv(
      [
        ['prompt', 'a'],
        ['p', 'x'],
      ],
      { prompt_template: '{{a}}' },
    );
    expect(inputs).toMatchObject([{ prompt: 'x' }]);
    expect(report.warnings).toMatchObject([{ column: 'prompt', code: 'unused_column' }]);
    expect(readCsv([['prompt']], { prompt_template: 'a fine {{prompt}}' }).report.warnings).toEqual([]);
  });
});

describe('the option columns', () => {
  it('reads a parameter or the id from another column', () => {
    const { inputs, accepted, text } = readCsv(
      [
        ['Text', 'ref', 'prompt'],
        ['a fox', 'r1', 'not this'],
      ],
      {
        columns: { prompt: 'text', id: 'REF' },
      },
    );
    expect(inputs).toMatchObject([{ prompt: 'a fox' }]);
    expect(accepted).toMatchObject([{ id: 'r1' }]);
    expect(text).toEqual({ prompt: 0 });
  });

  it('warns of the column that is not read because of it', () => {
    const { report } = readCsv([['text', 'prompt']], { columns: { prompt: 'text' } });
    expect(report.warnings).toMatchObject([{ column: 'prompt', code: 'unused_column' }]);
  });

  it('may read two parameters from one column', () => {
    const { inputs } = readCsv(
      [
        ['size', 'prompt'],
        ['512', 'a'],
      ],
      { columns: { width: 'size', height: 'size' } },
    );
    expect(inputs).toMatchObject([{ width: 512, height: 512 }]);
  });

  it('lets both id and custom_id stand when it says which is meant', () => {
    const { accepted } = readCsv(
      [
        ['prompt', 'id', 'custom_id'],
        ['a', '1', '2'],
      ],
      { columns: { id: 'custom_id' } },
    );
    expect(accepted).toMatchObject([{ id: '2' }]);
  });

  it('naming a column that is not there is refused with the list and the nearest name', () => {
    const error = refusal(() => readCsv([['txet', 'style']], { columns: { prompt: 'text' } }));
    expect(error.code).toBe('unknown_column');
    expect(error.message).toContain('Did you mean txet?');
    expect(error.message).toContain('txet, style');
  });

  it('naming no parameter is refused with the nearest, all at once', () => {
    const error = refusal(() => readCsv([['text']], { columns: { promt: 'text', zzz: 'text', id: ' ' } }));
    expect(error.code).toBe('invalid_columns');
    expect(error.problems).toHaveLength(3);
    expect(error.message).toContain('Did you mean prompt?');
  });
});

describe('our own list of rejected rows', () => {
  const OWN = ['rejected_line', 'rejected_column', 'rejected_code', 'rejected_detail'];

  it('comes back without its last four columns and without the marks before formulas', () => {
    const { columns, accepted } = readCsv([
      ['id', 'prompt', "'=note", ...OWN],
      ['1', "'=1+1", "''-x", '7', 'steps', 'wrong_type', 'no'],
      ['2', "'tis", '-5', '8', '', '', ''],
    ]);
    expect(columns).toEqual(['id', 'prompt', '=note']);
    expect(accepted.map(({ values }) => values)).toEqual([
      ['1', '=1+1', "'-x"],
      ['2', "'tis", '-5'],
    ]);
  });

  it('is taken for one only by all four, at the end', () => {
    const header = ['prompt', ...OWN.slice(1), 'rejected_line'];
    expect(readCsv([header, ["'=a", '', '', '', '']]).inputs).toMatchObject([{ prompt: "'=a" }]);
  });
});
