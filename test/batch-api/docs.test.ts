import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BatchQuerySchema } from '@renderyard/api/batches/batch-options';
import { MOST_COLUMNS, MOST_JSON_BYTES } from '@renderyard/api/batches/intake/limits';
import { RESULT_COLUMNS } from '@renderyard/api/batches/results/results-csv';
import { ROW_PROBLEM_CODES, ROW_WARNING_CODES } from '@renderyard/api/batches/rows/row-problem';
import { BatchSchema } from '@renderyard/shared/batch/batch-view';
import { SETTINGS } from '@renderyard/shared/config';
import { expect, test } from 'vitest';

const docs = join(import.meta.dirname, '../../docs');
const csv = await readFile(join(docs, 'csv.md'), 'utf8');
const api = await readFile(join(docs, 'api.md'), 'utf8');
const section = (text: string, title: string) => text.split(`## ${title}\n`)[1]?.split('\n## ')[0] ?? '';
const names = (text: string) => [...text.matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, name = '']) => name);

test('the codes of rows and warnings in the docs are those of the code', () => {
  expect(names(section(csv, 'Rows that are rejected'))).toEqual([...ROW_PROBLEM_CODES, ...ROW_WARNING_CODES]);
});

test('the options in the docs are those of the code', () => {
  expect(names(section(csv, 'Options'))).toEqual(Object.keys(BatchQuerySchema.properties));
});

test('every field that the docs tell of a batch is there', () => {
  const rows = [...section(api, 'A batch').matchAll(/^\| (`[^|]+`) \|/gm)];
  const told = rows.flatMap(([, cell = '']) => [...cell.matchAll(/`(\w+)`/g)].map(([, name = '']) => name));
  expect(told.length).toBeGreaterThan(10);
  for (const name of told) expect(BatchSchema.properties).toHaveProperty(name);
});

test('the columns of the results in the docs are those of the code', () => {
  const text = section(csv, 'Results').split('in the order of the rows')[0] ?? '';
  expect([...text.matchAll(/`(\w+)`/g)].map(([, name]) => name)).toEqual([...RESULT_COLUMNS]);
});

test('the limits in the docs are those of the code', () => {
  const text = section(csv, 'Limits');
  expect(SETTINGS.MAX_UPLOAD_BYTES.fallback).toBe(2 ** 30);
  expect(text).toContain(SETTINGS.MAX_ROWS.fallback.toLocaleString('en'));
  expect(text).toContain(`${SETTINGS.MAX_ROW_BYTES.fallback / 1024} KiB`);
  expect(text).toContain(`| columns | ${MOST_COLUMNS};`);
  expect(text).toContain(`| JSON | ${MOST_JSON_BYTES / 2 ** 20} MiB;`);
});
