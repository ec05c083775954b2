import { rowInput } from '@renderyard/shared/batch/row';
import { checkInput } from '@renderyard/shared/model/input';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { model, readCsv, readJson } from './reading.ts';

const SEED = 4711;
const seed = () => SEED;

const text = fc.string({ unit: 'binary', maxLength: 20 }).filter((value) => value.isWellFormed());
/** Right and wrong values of each parameter, as JSON has them. */
const VALUES: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  prompt: text,
  negative_prompt: text,
  steps: fc.integer({ min: 8, max: 72 }),
  guidance_scale: fc.double({ min: 0.9, max: 15.1, noNaN: true }).map((value) => Number(value.toFixed(3))),
  seed: fc.oneof(fc.integer({ min: -3, max: 100 }), fc.constant('random')),
  sampler: fc.oneof(fc.constantFrom('euler', 'dpm_2', 'Euler', 'e u'), fc.stringMatching(/^[a-z0-9_:]{1,41}$/)),
  scheduler: fc.constantFrom('sgm_uniform', 'simple', '!'),
  width: fc.integer({ min: 62, max: 2050 }),
  height: fc.integer({ min: 62, max: 2050 }),
  aspect_ratio: fc.constantFrom('custom', '16:9', '16 : 9'),
  batch_size: fc.integer({ min: 0, max: 2 }),
  image_format: fc.constantFrom('jpeg', 'png', 'PNG'),
  image_quality: fc.integer({ min: 8, max: 102 }),
  base64: fc.boolean(),
};
const given = fc.record(VALUES, { requiredKeys: [] });
const blank = fc.constantFrom('', ' ', '\t', '\u3000');
const isBlank = (value: unknown) => typeof value === 'string' && value.trim() === '';
/** What a single job would be given: blanks are left out, and defaults stand for them. */
const asJob = (row: Record<string, unknown>, defaults: Record<string, unknown>) => ({
  ...defaults,
  ...Object.fromEntries(Object.entries(row).filter(([, value]) => !isBlank(value))),
});
const right = given.map((values) =>
  Object.fromEntries(
    Object.entries(values).filter(([name, value]) => checkInput(model, { prompt: 'a', [name]: value }).ok),
  ),
);

describe('a row', () => {
  it('of CSV becomes the very body that a job with its values would have, or is rejected for the same reasons', () => {
    fc.assert(
      fc.property(
        given,
        right,
        fc.dictionary(fc.constantFrom(...Object.keys(VALUES)), blank),
        (row, defaults, blanks) => {
          const cells = { prompt: '', own: 'x', ...row, ...blanks };
          const header = Object.keys(cells);
          const read = readCsv([header, Object.values(cells).map(String)], { defaults }, { seed });
          const { own: _, ...job } = cells;
          const checked = checkInput(model, asJob(job, defaults), seed);
          if (checked.ok) expect(read.inputs).toEqual([checked.input]);
          else
            expect(read.problems.map(({ column, code }) => [column, code]).sort()).toEqual(
              checked.problems.map(({ parameter, code }) => [parameter, code]).sort(),
            );
        },
      ),
      { numRuns: 200 },
    );
  });

  it('of JSON does so too, flat, inside input, or with numbers as texts', () => {
    const shape = fc.constantFrom(
      (row: object) => row,
      (row: object) => ({ input: row }),
      (row: object) => ({ custom_id: 'x', body: row }),
      (row: object) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, String(value)])),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(given, shape), { minLength: 1, maxLength: 4 }), right, (rows, defaults) => {
        const items = rows.map(([row, shaped], i) => {
          const item = shaped({ prompt: '', ...row }) as Record<string, unknown>;
          return 'custom_id' in item ? { ...item, custom_id: i } : item;
        });
        const read = readJson(items, { defaults }, { seed });
        const checked = rows.map(([row]) => checkInput(model, asJob(row, defaults), seed));
        expect(read.inputs).toEqual(checked.flatMap((one) => (one.ok ? [one.input] : [])));
        expect(read.rejected).toBe(checked.filter(({ ok }) => !ok).length);
      }),
      { numRuns: 200 },
    );
  });

  it('reads the same again from what is stored of it', () => {
    const wellFormed = right.filter(({ prompt }) => typeof prompt === 'string' && /\S/.test(prompt));
    fc.assert(
      fc.property(fc.array(wellFormed, { minLength: 1, maxLength: 4 }), fc.boolean(), (rows, json) => {
        const header = Object.keys(VALUES);
        const records = rows.map((row) => header.map((name) => String(row[name] ?? '')));
        const { base, text: columns, accepted, inputs } = json ? readJson(rows) : readCsv([header, ...records]);
        const stored = JSON.parse(JSON.stringify({ base, text: columns, accepted })) as {
          base: typeof base;
          text: typeof columns;
          accepted: typeof accepted;
        };
        expect(stored.accepted.map((row) => rowInput(stored, row))).toEqual(inputs);
        expect(accepted).toHaveLength(rows.length);
      }),
    );
  });

  it('keeps of its input only what is not the text of a column', () => {
    const { accepted } = readCsv([
      ['prompt', 'sampler', 'steps', 'width', 'seed'],
      ['a fox', 'dpm_2', '30', '512', '7'],
    ]);
    expect(accepted).toEqual([
      { row: 1, line: 2, key: '000001', seed: 7, input: { width: 512 }, values: ['a fox', 'dpm_2', '30', '512', '7'] },
    ]);
  });
});
