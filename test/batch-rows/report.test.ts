import { ROW_PROBLEM_CODES, ROW_WARNING_CODES } from '@renderyard/api/batches/rows/row-problem';
import { costClass, estimateCost } from '@renderyard/shared/credits/estimate';
import { costFactors } from '@renderyard/shared/model/model';
import { describe, expect, it } from 'vitest';
import { csvReader, MODEL_DEFAULTS, model, readCsv } from './reading.ts';

describe('a rejected row', () => {
  it('tells everything that is wrong with it, with line, column as it is spelt, code, value and what would be right', () => {
    const { reads } = readCsv([
      ['Prompt', 'Steps', 'WIDTH', 'id'],
      ['a', '30', '512', 'x'],
      [' ', '5,5', '7', 'x'],
    ]);
    expect(reads[1]).toEqual({
      kind: 'rejected',
      line: 3,
      values: [' ', '5,5', '7', 'x'],
      problems: [
        {
          line: 3,
          column: 'Steps',
          code: 'wrong_type',
          value: '5,5',
          detail: 'steps must be a whole number from 10 to 70, but is "5,5".',
        },
        {
          line: 3,
          column: 'WIDTH',
          code: 'out_of_range',
          value: '7',
          detail: 'width must be a whole number from 64 to 2048, but is 7.',
        },
        {
          line: 3,
          column: 'Prompt',
          code: 'required',
          value: ' ',
          detail: 'prompt is required: text of 1 to 20000 characters that is not blank.',
        },
        {
          line: 3,
          column: 'id',
          code: 'duplicate_id',
          value: 'x',
          detail: 'The id of line 2 is the same: each id must be there once, or be left blank.',
        },
      ],
    });
  });

  it('leaves no gap in the numbers of rows', () => {
    const { accepted } = readCsv([
      ['prompt', 'steps'],
      ['a', ''],
      ['b', 'x'],
      ['c', ''],
    ]);
    expect(accepted.map(({ row, line, key }) => [row, line, key])).toEqual([
      [1, 2, '000001'],
      [2, 4, '000002'],
    ]);
  });

  it('has at most ten problems, and no value longer than 200 characters, nor half of one', () => {
    const header = ['prompt', ...Object.keys(MODEL_DEFAULTS)];
    const { problems } = readCsv([header, header.map(() => `${'x'.repeat(199)}🦊!`)]);
    expect(problems).toHaveLength(10);
    for (const { value } of problems) expect(value).toBe('x'.repeat(199));
  });

  it('still holds its id against later rows', () => {
    const { problems } = readCsv([
      ['prompt', 'id', 'steps'],
      ['a', 'x', '1'],
      ['b', 'x', '30'],
    ]);
    expect(problems.map(({ line, code }) => [line, code])).toEqual([
      [2, 'out_of_range'],
      [3, 'duplicate_id'],
    ]);
  });
});

describe('a report', () => {
  it('lists a hundred errors, and counts all rows that were rejected', () => {
    const rows = Array.from({ length: 150 }, () => ['', '5,5']);
    const { report, rejected, rows: accepted } = readCsv([['prompt', 'steps'], ...rows, ['a', '30']]);
    expect(report.rejected.count).toBe(150);
    expect(report.rejected.errors).toHaveLength(100);
    expect(report.rejected.errors.at(-1)?.line).toBe(51);
    expect([accepted, rejected]).toEqual([1, 150]);
  });

  it('counts what the intake rejects and warns of as well', () => {
    const reader = csvReader(['prompt']);
    const problem = { line: 2, column: null, code: 'wrong_field_count', value: null, detail: 'Two fields.' };
    expect(reader.reject(2, ['a', 'b'], problem)).toEqual({
      kind: 'rejected',
      line: 2,
      values: ['a', 'b'],
      problems: [problem],
    });
    for (const line of [3, 4, 5])
      reader.warn({ line, column: 'prompt', code: 'bare_quote', value: 'a"b', detail: 'A bare quote.' });
    expect(reader.finish().report).toEqual({
      rejected: { count: 1, errors: [problem] },
      warnings: [{ line: 3, column: 'prompt', code: 'bare_quote', value: 'a"b', detail: 'A bare quote. (3 times.)' }],
    });
  });

  it('tells of blank rows once, with their number and the first lines', () => {
    const { report, reads } = readCsv([
      ['prompt', 'a'],
      ['x', ''],
      ['', ' '],
      ['\t', ''],
      ['y', ''],
    ]);
    expect(reads.map(({ kind }) => kind)).toEqual(['row', 'blank', 'blank', 'row']);
    expect(report.warnings).toEqual([
      { line: 3, column: null, code: 'blank_rows', value: null, detail: '2 blank rows were skipped: lines 3, 4.' },
    ]);
  });

  it('has codes of a closed list', () => {
    expect(new Set([...ROW_PROBLEM_CODES, ...ROW_WARNING_CODES]).size).toBe(
      ROW_PROBLEM_CODES.length + ROW_WARNING_CODES.length,
    );
  });
});

describe('a preview', () => {
  it('has the first five rows as they will be sent', () => {
    const rows = Array.from({ length: 7 }, (_, i) => [`p${i}`, i === 1 ? 'x' : '', i === 0 ? 'bad' : '']);
    const { preview, inputs } = readCsv([['prompt', 'id', 'steps'], ...rows]);
    expect(preview).toHaveLength(5);
    expect(preview[0]).toEqual({ row: 1, line: 3, id: 'x', key: 'x', input: inputs[0] });
    expect(preview.map(({ input }) => input)).toEqual(inputs.slice(0, 5));
    expect(inputs[0]).toEqual({ ...MODEL_DEFAULTS, prompt: 'p1', seed: inputs[0]?.seed });
  });
});

describe('classes of cost', () => {
  it('are those of the inputs, each with its rows and its guess', () => {
    const header = ['prompt', 'steps', 'width', 'height', 'aspect_ratio'];
    const sizes = ['', '512', '1024', '2048'];
    const rows = Array.from({ length: 64 }, (_, i) => [
      'p',
      ['', '30', '12', '70'][i % 4] ?? '',
      sizes[(i >> 2) % 4] ?? '',
      sizes[(i >> 3) % 4] ?? '',
      i % 7 === 0 ? '16:9' : '',
    ]);
    const { classes, inputs } = readCsv([header, ...rows], { defaults: { steps: 20 } });
    const expected = new Map<string, { class: string; rows: number; guess: number }>();
    for (const input of inputs) {
      const factors = costFactors(model, input);
      const name = costClass(factors);
      const one = expected.get(name) ?? { class: name, rows: 0, guess: estimateCost(factors, 0.02) };
      one.rows++;
      expected.set(name, one);
    }
    const sorted = (all: Iterable<{ class: string }>) => [...all].sort((a, b) => (a.class < b.class ? -1 : 1));
    expect(sorted(classes)).toEqual(sorted(expected.values()));
  });

  it('are a thousand at most; the rows beyond count under the dearest of these, never too cheap', () => {
    const reader = csvReader(['prompt', 'width', 'height']);
    let right = 0;
    for (let i = 0; i < 3000; i++) {
      const [width, height] = [64 + (i % 1900), 64 + ((i * 7) % 1900)];
      expect(reader.read(i + 2, ['p', String(width), String(height)]).kind).toBe('row');
      right += estimateCost(costFactors(model, { ...MODEL_DEFAULTS, width, height }), 0.02);
    }
    const { classes } = reader.finish();
    expect(classes).toHaveLength(1000);
    expect(classes.reduce((sum, { rows }) => sum + rows, 0)).toBe(3000);
    expect(classes.reduce((sum, { rows, guess }) => sum + rows * guess, 0)).toBeGreaterThanOrEqual(right);
  });
});
