import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { API_ERRORS, PART_CODES } from '@renderyard/api/errors/catalogue';
import { JOB_ERROR_CODES } from '@renderyard/shared/job/job';
import { expect, test } from 'vitest';

const docs = await readFile(join(import.meta.dirname, '../../docs/errors.md'), 'utf8');
const rows = (section: string) =>
  [...(docs.split(`## ${section}\n`)[1]?.split('\n## ')[0] ?? '').matchAll(/^\| `([a-z_]+)` \| ([^|]*) \|/gm)].map(
    ([, code, second]) => [code, second?.trim()] as const,
  );

test('the errors of the API in the docs are those of the code, with their status', () => {
  const inCode = Object.entries(API_ERRORS).map(([code, { status }]) => [code, String(status)] as const);
  expect(rows('Errors of the API').sort()).toEqual(inCode.sort());
});

test('the codes of the parts of a request in the docs are those of the code', () => {
  expect(
    rows('What can be wrong with a part of a request')
      .map(([code]) => code)
      .sort(),
  ).toEqual([...PART_CODES].sort());
});

test('the errors of jobs in the docs are those of the code', () => {
  expect(
    rows('Errors of jobs')
      .map(([code]) => code)
      .sort(),
  ).toEqual([...JOB_ERROR_CODES].sort());
});
