import { describe, expect, it } from 'vitest';
import { csvReader, jsonReader, readJson, refusal } from './reading.ts';

describe('items of JSON', () => {
  it('have their keys as columns, in the order in which they were first seen, and their values as they are', () => {
    const { columns, accepted, text } = readJson([
      { prompt: 'a', tags: ['x', { y: null }] },
      { id: 7, metadata: { deep: { er: 1.5 } }, prompt: 'b', n: 1e21 },
    ]);
    expect(columns).toEqual(['prompt', 'tags', 'id', 'metadata', 'n']);
    expect(text).toEqual({ prompt: 0 });
    expect(accepted.map(({ values }) => values)).toEqual([
      ['a', ['x', { y: null }]],
      ['b', null, 7, { deep: { er: 1.5 } }, 1e21],
    ]);
    expect(accepted.map(({ id, key }) => [id, key])).toEqual([
      [undefined, '000001'],
      ['7', '7'],
    ]);
  });

  it.each(['input', 'body'])('may have their parameters inside of %s', (inside) => {
    const { columns, inputs, accepted } = readJson([
      { custom_id: 'r1', method: 'POST', [inside]: { prompt: 'a', steps: 12 }, metadata: { k: 1 } },
    ]);
    expect(columns).toEqual(['custom_id', 'method', 'prompt', 'steps', 'metadata']);
    expect(inputs).toMatchObject([{ prompt: 'a', steps: 12 }]);
    expect(accepted).toMatchObject([{ id: 'r1', values: ['r1', 'POST', 'a', 12, { k: 1 }] }]);
  });

  it('reject what is no parameter inside of input, unless a template names it', () => {
    const item = { input: { prompt: 'a', stepz: 3 } };
    expect(readJson([item]).problems).toMatchObject([
      { line: 1, column: 'stepz', code: 'unknown_parameter', value: '3', detail: expect.stringContaining('steps') },
    ]);
    expect(readJson([item], { key_template: '{{stepz}}' }).keys).toEqual(['3']);
  });

  it('reject what is there twice and read once', () => {
    for (const item of [
      { prompt: 'a', input: { prompt: 'b' } },
      { prompt: 'a', Prompt: 'b' },
      { prompt: 'a', id: '1', custom_id: '2' },
    ])
      expect(readJson([item]).problems).toMatchObject([{ code: 'duplicate_name' }]);
    const styles = { style: 'oil', input: { prompt: 'a', style: 'ink' } };
    expect(readJson([styles], { key_template: '{{style}}' }).problems).toMatchObject([{ code: 'duplicate_name' }]);
  });

  it('match names without regard to case, in any spelling', () => {
    const { inputs, columns } = readJson([
      { Prompt: 'a', STEPS: 11 },
      { prompt: 'b', Sampler: 'dpm_2' },
      { PROMPT: 'c', sampler: 'heun' },
    ]);
    expect(columns).toEqual(['Prompt', 'STEPS', 'prompt', 'Sampler', 'PROMPT', 'sampler']);
    expect(inputs).toMatchObject([
      { prompt: 'a', steps: 11, sampler: 'euler' },
      { prompt: 'b', steps: 30, sampler: 'dpm_2' },
      { prompt: 'c', steps: 30, sampler: 'heun' },
    ]);
  });

  it.each([['a fox'], [7], [null], [['prompt']], [true]])('must be objects: %j is rejected', (item) => {
    expect(readJson([item, { prompt: 'a' }])).toMatchObject({ rows: 1, rejected: 1 });
    expect(readJson([item]).problems).toMatchObject([{ line: 1, column: null, code: 'wrong_type' }]);
  });

  it('must have values of the right type, or numbers as texts', () => {
    expect(readJson([{ prompt: 'a', steps: '12', base64: 'false' }]).inputs).toMatchObject([
      { steps: 12, base64: false },
    ]);
    expect(readJson([{ prompt: 5, steps: true, width: [1], id: {} }]).problems).toMatchObject([
      { column: 'prompt', code: 'wrong_type', value: '5' },
      { column: 'steps', code: 'wrong_type', value: 'true' },
      { column: 'width', code: 'wrong_type', value: '[1]' },
      { column: 'id', code: 'wrong_type', value: '{}' },
    ]);
  });

  it('may be empty objects, all from the defaults', () => {
    const { inputs } = readJson([{}, { prompt: null }], { defaults: { prompt: 'a fox' } });
    expect(inputs).toMatchObject([{ prompt: 'a fox' }, { prompt: 'a fox' }]);
    expect(readJson([{}]).problems).toMatchObject([{ column: null, code: 'required' }]);
  });

  it('may be called __proto__ and constructor inside', () => {
    const item = JSON.parse('{"prompt":"a","__proto__":{"steps":10},"constructor":1,"toString":2}') as unknown;
    const { columns, inputs, accepted } = readJson([item]);
    expect(columns).toEqual(['prompt', '__proto__', 'constructor', 'toString']);
    expect(inputs).toMatchObject([{ steps: 30 }]);
    expect(accepted[0]?.values).toEqual(['a', { steps: 10 }, 1, 2]);
    expect(({} as { steps?: number }).steps).toBeUndefined();
  });

  it('may have so many different keys in all, and not one more', () => {
    const items = Array.from({ length: 5 }, (_, i) => ({ prompt: 'a', [`k${i}`]: i }));
    expect(readJson(items, {}, { mostColumns: 6 }).rows).toBe(5);
    const error = refusal(() => readJson(items, {}, { mostColumns: 5 }));
    expect(error).toMatchObject({ code: 'too_many_columns', line: 5, column: 'k4' });
  });

  it('with a key that looks like a parameter are warned of at the end, with the line', () => {
    const { report } = readJson([{ prompt: 'a' }, { prompt: 'b', guidance: 3 }, { prompt: 'b', guidance: 4 }]);
    expect(report.warnings).toMatchObject([{ line: 2, column: 'guidance', code: 'misspelt_column' }]);
  });

  it('read a parameter from another key, and refuse one that no item has', () => {
    const columns = { prompt: 'text' };
    expect(readJson([{ text: 'a' }], { columns }).inputs).toMatchObject([{ prompt: 'a' }]);
    expect(refusal(() => readJson([{ prompt: 'a' }], { columns }))).toMatchObject({
      code: 'unknown_column',
      column: 'text',
    });
  });

  it('and records of CSV each have their own reader', () => {
    expect(() => jsonReader().read(1, ['a'])).toThrow(TypeError);
    expect(() => csvReader(['prompt']).readItem(1, {})).toThrow(TypeError);
  });
});
