import { parse } from 'csv-parse/sync';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type BatchBench, openBatchBench } from './batch-bench.ts';

let bench: BatchBench;
beforeAll(async () => {
  bench = await openBatchBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

const text = async (path: string) => (await bench.get(path)).text();

const upload = async (url: string, body: string, query = '') => {
  const headers = { 'content-type': 'text/csv' };
  const answer = await fetch(new URL(`/v1/batches${query}`, url), { method: 'POST', headers, body });
  expect(answer.status, await answer.clone().text()).toBe(202);
  return (await answer.json()) as { id: string; report: { rejected: { count: number; errors: { code: string }[] } } };
};

const GIVEN = [
  '=id,Prompt,steps,"na ""me"""',
  'a,A fox,30,fine',
  'b,A bear,5,"=cmd|\' /C calc\'!A0"',
  'c,"A ""hare"",\r\nasleep",999,\'-5',
  'd,,30,-5',
  'e,too,30,many,fields,here',
  "f,'=x,none,''@y",
].join('\n');

test('rejected rows can be imported again as they are, and are rejected for the same reasons', async () => {
  const first = await upload(bench.api.url, GIVEN);
  expect(first.report.rejected.count).toBe(5);
  const rejected = await text(`/v1/batches/${first.id}/rejected.csv`);
  const records: string[][] = parse(rejected, { relax_column_count: true });
  expect(records[0]).toEqual([
    ...["'=id", 'Prompt', 'steps', 'na "me"'],
    ...['rejected_line', 'rejected_column', 'rejected_code', 'rejected_detail'],
  ]);
  expect(records.map((record) => record[4])).toEqual(['rejected_line', '3', '4', '6', '7', '8']);
  expect(records[4]?.slice(-2)).toEqual(['fields', 'here']);

  expect(records[4]?.[7]).toContain('This row has 6 fields, the header has 4 columns.');

  // A row that is right, because something must be left to make a batch of.
  const again = await upload(bench.api.url, `${rejected}z,A good one,30,x,,,,\r\n`);
  expect(again.report.rejected.errors.map(({ code }) => code)).toEqual(
    first.report.rejected.errors.map(({ code }) => code),
  );
  expect(parse(await text(`/v1/batches/${again.id}/rejected.csv`), { relax_column_count: true })).toEqual(
    records.map((record, index) => record.map((cell, at) => (at === 4 && index > 0 ? expect.any(String) : cell))),
  );
});

test('rejected rows are given in no form that would lose something when they are imported again', async () => {
  const { id } = await upload(bench.api.url, GIVEN);
  const answer = await bench.api.get(`/v1/batches/${id}/rejected.csv?formulas=keep`);
  expect(answer).toMatchObject({ status: 400, json: { errors: [{ pointer: '?formulas', code: 'unknown_field' }] } });
  expect((await text(`/v1/batches/${id}/rejected.csv?bom=true`)).slice(0, 4)).toBe("'=id");
});

test('rejected rows that were corrected run with everything else as it was given', async () => {
  const first = await upload(bench.api.url, GIVEN);
  const rejected = await text(`/v1/batches/${first.id}/rejected.csv`);
  const records: string[][] = parse(rejected, { relax_column_count: true });
  const corrected = records
    .filter(([id]) => id !== 'e' && id !== 'd')
    .map((record, index) => (index === 0 ? record : record.with(2, '30')))
    .map((record) => record.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(','));
  const again = await upload(bench.api.url, corrected.join('\n'));
  expect(again.report.rejected.count).toBe(0);
  const results: string[][] = parse(await text(`/v1/batches/${again.id}/results.csv?formulas=keep`));
  expect(results.map((record) => record.slice(0, 5))).toEqual([
    ['=id', 'Prompt', 'steps', 'na "me"', 'status'],
    ['b', 'A bear', '30', "=cmd|' /C calc'!A0", 'queued'],
    ['c', 'A "hare",\r\nasleep', '30', "'-5", 'queued'],
    ['f', "'=x", '30', "''@y", 'queued'],
  ]);
});
