import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { csvText } from '@renderyard/api/batches/results/csv-text';
import { parse } from 'csv-parse/sync';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type BatchBench, openBatchBench } from './batch-bench.ts';

const require = createRequire(import.meta.url);
const naughty = require('big-list-of-naughty-strings') as readonly string[];
const spectrum = join(dirname(require.resolve('csv-spectrum')), 'csvs');

let bench: BatchBench;
beforeAll(async () => {
  bench = await openBatchBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

async function upload(body: string | Uint8Array, query: Readonly<Record<string, string>>): Promise<Response> {
  const url = new URL(`/v1/batches?${new URLSearchParams(query)}`, bench.api.url);
  return fetch(url, { method: 'POST', headers: { 'content-type': 'text/csv' }, body: body as string });
}

/** What results.csv has of the upload's own columns, header first. */
async function ownCells(id: string, columns: number): Promise<string[][]> {
  const csv = await (await bench.get(`/v1/batches/${id}/results.csv?formulas=keep`)).text();
  return (parse(csv) as string[][]).map((record) => record.slice(0, columns));
}

test('every file of csv-spectrum goes through import and results unchanged', async () => {
  const names = await readdir(spectrum);
  expect(names.length).toBeGreaterThan(10);
  for (const name of names) {
    const bytes = await readFile(join(spectrum, name));
    const answer = await upload(bytes, { prompt_template: 'A picture' });
    const { id } = (await answer.json()) as { id: string };
    expect([name, answer.status]).toEqual([name, 202]);
    // One of them has bare quotes.
    const records = parse(bytes, { relax_quotes: true }) as string[][];
    expect(await ownCells(id, records[0]?.length ?? 0), name).toEqual(records);
  }
});

test('every naughty string goes through import and results unchanged, as a prompt and as a column of its own', async () => {
  const prompts = naughty.filter((text) => text.trim() !== '');
  expect(prompts.length).toBeGreaterThan(400);
  const rows = prompts.map((text, index) => [String(index), text, text]);
  const answer = await upload(csvText([['number', 'prompt', 'text'], ...rows], 'keep'), {});
  const { id, counts } = (await answer.json()) as { id: string; counts: { total: number; rejected: number } };
  expect(counts).toMatchObject({ total: prompts.length, rejected: 0 });

  expect((await ownCells(id, 3)).slice(1)).toEqual(rows);
  const lines = (await (await bench.get(`/v1/batches/${id}/results.ndjson`)).text()).trimEnd().split('\n');
  const results = lines.map((line) => JSON.parse(line) as { input: { prompt: string }; columns: { text: string } });
  expect(results.map((row) => row.input.prompt)).toEqual(prompts);
  expect(results.map((row) => row.columns.text)).toEqual(prompts);
});
