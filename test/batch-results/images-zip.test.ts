import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Image } from '@renderyard/shared/job/job';
import { parse } from 'csv-parse/sync';
import { expect, test } from 'vitest';
import { type BatchBench, failed, openBatchBench, putEnd, putImage, succeeded } from './batch-bench.ts';
import { readZip } from './zip-reading.ts';

const BAD = { code: 'bad_image', detail: 'Cut off.' } as const;

/** An ended batch of rows, whose images have these bytes; undefined where a row failed. */
async function putRendered(bench: BatchBench, bodies: readonly (Buffer | undefined)[]) {
  const rows = bodies.map((_, index) => ({ key: `fox/${bodies.length - index}`, values: [`Fox ${index + 1}`] }));
  const batch = await bench.put({ columns: ['prompt'], rows, partRows: 7 });
  const images: (Image | undefined)[] = [];
  for (const [index, body] of bodies.entries())
    images.push(body && (await putImage(bench.store, batch.id, rows[index]?.key ?? '', body)));
  await putEnd(
    bench,
    batch,
    images.map((image, index) => (image === undefined ? failed(index + 1, BAD) : succeeded(index + 1, image))),
  );
  return { batch, images };
}

test('the zip has the images in the order of the rows, under their keys, and the results at the end', async () => {
  await using bench = await openBatchBench();
  const bodies = Array.from({ length: 40 }, (_, index) =>
    index % 10 === 3 ? undefined : Buffer.alloc(1000 + index * 5000, index),
  );
  // One that is too large to be held in memory.
  bodies[12] = Buffer.alloc(9 * 1024 * 1024, 12);
  const { batch } = await putRendered(bench, bodies);

  const answer = await bench.get(`${batch.path}/images.zip`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toBe('application/zip');
  const entries = await readZip(Buffer.from(await answer.arrayBuffer()));
  const table = entries.pop();
  const expected = bodies.flatMap((body, index) =>
    body === undefined ? [] : [{ name: `fox/${40 - index}.png`, body, index }],
  );
  expect(entries.map(({ name }) => name)).toEqual(expected.map(({ name }) => name));
  for (const [at, { content, modifiedAt }] of entries.entries()) {
    expect(content?.equals(expected[at]?.body ?? Buffer.alloc(0))).toBe(true);
    expect(modifiedAt).toBe(1_700_000_002_000 + ((expected[at]?.index ?? 0) + 1) * 2000);
  }
  expect(table?.name).toBe('results.csv');
  const csv = await (await bench.get(`${batch.path}/results.csv`)).text();
  expect(table?.content?.toString()).toBe(csv);
  expect(parse(csv)).toHaveLength(41);
  expect(await readdir(join(bench.api.dataDir, 'spool')).catch(() => [])).toEqual([]);
});

test('while the batch runs, the zip has what is there', async () => {
  await using bench = await openBatchBench();
  const rows = Array.from({ length: 4 }, (_, index) => ({ values: [`Fox ${index + 1}`] }));
  const batch = await bench.put({ columns: ['prompt'], rows });
  await bench.open(batch);
  const names = async () => {
    const zip = await (await bench.get(`${batch.path}/images.zip`)).arrayBuffer();
    return (await readZip(Buffer.from(zip))).map(({ name }) => name);
  };
  expect(await names()).toEqual(['results.csv']);
  await bench.endNext(batch, { image: '000001' });
  await bench.endNext(batch, { error: BAD });
  await bench.endNext(batch, { image: '000003' });
  expect(await names()).toEqual(['000001.png', '000003.png', 'results.csv']);
});

for (const [what, spoil] of [
  ['is missing', async ({ store }: BatchBench, { key }: Image) => store.delete([key])],
  [
    'has other bytes',
    async ({ store }: BatchBench, { key, bytes }: Image) =>
      void (await store.put(key, Buffer.alloc(bytes, 1), { contentType: 'image/png' })),
  ],
  [
    'has more bytes',
    async ({ store }: BatchBench, { key, bytes }: Image) =>
      void (await store.put(key, Buffer.alloc(bytes + 1), { contentType: 'image/png' })),
  ],
] as const)
  test(`a zip of which an image ${what} is cut, and the log says which`, async () => {
    await using bench = await openBatchBench();
    const { batch, images } = await putRendered(
      bench,
      Array.from({ length: 20 }, (_, index) => Buffer.alloc(200_000, index)),
    );
    const image = images[15] as Image;
    await spoil(bench, image);
    const answer = await bench.get(`${batch.path}/images.zip`);
    expect(answer.status).toBe(200);
    await expect(answer.arrayBuffer()).rejects.toThrow();
    const told = () => bench.api.logs.find(({ msg, broken_off: off }) => msg === 'request' && off === true);
    await expect.poll(told).toBeDefined();
    expect(told().err.message).toContain(image.key);
  });
