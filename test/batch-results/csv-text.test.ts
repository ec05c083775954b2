import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { cellOf, csvText, harmless } from '@renderyard/api/batches/results/csv-text';
import { resultsCsv } from '@renderyard/api/batches/results/results-csv';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { expect, test } from 'vitest';

const require = createRequire(import.meta.url);
const naughty = require('big-list-of-naughty-strings') as readonly string[];

const parsed = (text: string): string[][] => parse(text, { record_delimiter: '\r\n', bom: true });
/** What an import does with cells of a file that we wrote. */
const undo = (cell: string) => (/^'+[=+\-@\t\r]/.test(cell) ? cell.slice(1) : cell);

const Cell = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom(...'=+-@\t\r\n\'",;1.e \ufeffä') }),
  fc.constantFrom(...naughty),
);
const Table = fc
  .integer({ min: 1, max: 6 })
  .chain((width) => fc.array(fc.array(Cell, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 8 }));

/** A table as results.csv has it: a cell of ours behind the upload's own keeps a row from being blank. */
function written(table: readonly (readonly string[])[], formulas: 'escape' | 'keep'): string {
  return csvText(
    table.map((cells) => [...cells, 'queued']),
    formulas,
  );
}

test('any table is read back as it was written, with formulas kept', () => {
  fc.assert(
    fc.property(Table, (table) => {
      expect(parsed(written(table, 'keep'))).toEqual(table.map((cells) => [...cells, 'queued']));
    }),
    { numRuns: 500 },
  );
});

test('any table is read back as it was written once the mark is taken off its formulas', () => {
  fc.assert(
    fc.property(Table, (table) => {
      const cells = parsed(written(table, 'escape')).map((row) => row.slice(0, -1).map(undo));
      expect(cells).toEqual(table);
    }),
    { numRuns: 500 },
  );
});

test('no cell that is written can begin a formula, and a plain number is left alone', () => {
  fc.assert(
    fc.property(Cell, (cell) => {
      const safe = harmless(cell);
      expect(/^[=+\-@\t\r]/.test(safe) && !/^[+-]?[\d.]+(e[+-]?\d+)?$/i.test(safe)).toBe(false);
      expect(safe === cell || safe === `'${cell}`).toBe(true);
    }),
    { numRuns: 1000 },
  );
  for (const number of ['-5', '+3.2', '-1e5', '-.5', '+10.']) expect(harmless(number)).toBe(number);
  for (const formula of ['=1+1', '-5+cmd', "'=x", "''@y", '-', '+-5', '\t=x', '-1e5x', '@SUM(A1)'])
    expect(harmless(formula)).toBe(`'${formula}`);
  for (const plain of ["'quoted'", "it's", ' =x', '', '1-2']) expect(harmless(plain)).toBe(plain);
});

test('the naughty strings go through results.csv unchanged', () => {
  const csv = resultsCsv({ id: 'bat_x', columns: ['prompt'] }, { publicUrl: 'http://x', formulas: 'keep' });
  const rows = csv.rows(
    naughty.map((prompt, index) => ({
      record: { row: index + 1, line: index + 2, key: 'k', seed: 1, values: [prompt] },
      status: 'queued',
      result: undefined,
    })),
  );
  expect(naughty.length).toBeGreaterThan(400);
  expect(
    parsed(csv.header + rows)
      .slice(1)
      .map(([prompt]) => prompt),
  ).toEqual(naughty);
});

test('quotes stand only where a reader needs them, and each record ends with CRLF', () => {
  const cells = ['plain', ' a b ', '', "it's; so", 'a,b', 'a "b"', 'a\rb', 'a\nb', '\ufeffa', 'a\ufeff'];
  expect(csvText([cells, ['1', '2']], 'keep')).toBe(
    'plain, a b ,,it\'s; so,"a,b","a ""b""","a\rb","a\nb","\ufeffa",a\ufeff\r\n1,2\r\n',
  );
  expect(csvText([], 'keep')).toBe('');
});

test('the files of csv-spectrum go through unchanged', async () => {
  const folder = join(dirname(require.resolve('csv-spectrum')), 'csvs');
  const names = await readdir(folder);
  expect(names.length).toBeGreaterThanOrEqual(12);
  for (const name of names) {
    // One of them is neither UTF-8 nor strict about its quotes: its bytes are taken for letters here, one each.
    const given: string[][] = parse(await readFile(join(folder, name), 'latin1'), { relax_quotes: true });
    expect(given.length).toBeGreaterThan(0);
    expect(parsed(written(given, 'keep')).map((row) => row.slice(0, -1))).toEqual(given);
  }
});

test('values of JSON are written as their JSON, texts as they stand', () => {
  expect(['a "b"', 1.5, -2, true, null, undefined, { a: [1] }].map(cellOf)).toEqual([
    ...['a "b"', '1.5', '-2', 'true', '', '', '{"a":[1]}'],
  ]);
});
