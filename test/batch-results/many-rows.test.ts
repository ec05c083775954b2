import { Readable } from 'node:stream';
import { asText } from '@renderyard/api/batches/results/as-text';
import { createPartReader } from '@renderyard/api/batches/results/part-reader';
import { readAhead } from '@renderyard/api/batches/results/read-ahead';
import { parse } from 'csv-parse';
import { expect, test } from 'vitest';
import { failed, openBatchBench, putEnd, putImage, succeeded } from './batch-bench.ts';

const ROWS = 20_000;
const BAD = { code: 'bad_image', detail: 'Cut off.' } as const;

test('20,000 rows come in order, each once, and only so many are read as the client takes', async () => {
  await using bench = await openBatchBench();
  const { states, files } = bench;
  const rows = Array.from({ length: ROWS }, (_, index) => ({
    values: [`Fox ${index + 1} ${'in the snow '.repeat(40)}`],
  }));
  const batch = await bench.put({ columns: ['prompt'], rows });
  const image = await putImage(bench.store, batch.id, 'x', Buffer.from('x'));
  const results = rows.map((_, index) => (index % 3 === 0 ? failed(index + 1, BAD) : succeeded(index + 1, image)));
  await putEnd(bench, batch, results);

  const answer = await bench.get(`${batch.path}/results.csv`);
  const table = Readable.fromWeb(answer.body as never).pipe(parse({ from: 2 }));
  let seen = 0;
  for await (const [prompt, status] of table as AsyncIterable<string[]>) {
    seen++;
    if (!prompt?.startsWith(`Fox ${seen} `)) expect.fail(`${prompt} stands where row ${seen} belongs`);
    if (status !== (seen % 3 === 1 ? 'failed' : 'succeeded')) expect.fail(`Row ${seen} is ${status}`);
  }
  expect(seen).toBe(ROWS);

  let read = 0;
  const counted = {
    ...files,
    readRows: (...given: Parameters<typeof files.readRows>) => {
      read++;
      return files.readRows(...given);
    },
  };
  const reader = createPartReader({ states, files: counted, record: batch.record, sameRedis: async () => undefined });
  const parts = readAhead(batch.record.parts.length, async (part) => (await reader.read(part)).rows);
  const pieces = asText('', parts, (some) => some.map(({ record }) => `${record.row}\n`).join(''));
  await pieces.next();
  // The first bytes wait for the first part; the next one is read meanwhile.
  expect(read).toBe(2);
  for (let row = 200; row < 3000; row += 200) await pieces.next();
  expect(read).toBe(4);
  await pieces.return(undefined);
});
