import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { type ZipFile, zipStream } from '@renderyard/api/batches/results/zip-stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { collect, readZip } from './zip-reading.ts';

let folder: string;
beforeAll(async () => {
  folder = await makeTemporaryFolder('zip');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const file = (name: string, data: Buffer, modifiedAt = Date.UTC(2024, 1, 29, 12, 34, 57)): ZipFile => ({
  ...{ name, bytes: data.length, crc32: crc32(data), modifiedAt },
  read: () => [data],
});

async function* these(files: Iterable<ZipFile>) {
  yield* files;
}

test('what was packed is unpacked: names, contents and times', async () => {
  const files = [
    file('000001.png', Buffer.from('one')),
    file('Bären/狐狸 🦊.jpg', Buffer.alloc(100_000, 7)),
    file('empty.webp', Buffer.alloc(0), Date.UTC(1970, 0, 2)),
  ];
  const { pieces } = await collect(zipStream(these(files), folder));
  const zip = Buffer.concat(pieces.map(({ data }) => data));
  const read = await readZip(zip);
  expect(read).toEqual(
    files.map(({ name, bytes, crc32: sum, modifiedAt, read: content }) => ({
      ...{ name, bytes, crc32: sum, modifiedAt },
      content: Buffer.concat([...(content() as Iterable<Uint8Array>)]),
    })),
  );
});

test('unzip, where there is one, finds nothing to say against it', async ({ skip }) => {
  const run = promisify(execFile);
  const hasUnzip = await run('unzip', ['-v']).then(
    () => true,
    () => false,
  );
  if (!hasUnzip) skip('there is no unzip here');
  const { pieces } = await collect(
    zipStream(these([file('a/ä.png', Buffer.from('one')), file('b.csv', Buffer.from('x'))]), folder),
  );
  const path = join(folder, 'some.zip');
  await writeFile(path, Buffer.concat(pieces.map(({ data }) => data)));
  expect((await run('unzip', ['-t', path])).stdout).toContain('No errors detected');
});

test('more files than the plain format can count', async () => {
  const count = 70_000;
  const data = Buffer.from('x');
  const files = Array.from({ length: count }, (_, index) => file(`${index}.png`, data));
  const { pieces } = await collect(zipStream(these(files), folder));
  const read = await readZip(Buffer.concat(pieces.map(({ data }) => data)), () => false);
  expect(read).toHaveLength(count);
  expect(read.at(-1)?.name).toBe(`${count - 1}.png`);
});

test('more bytes than the plain format can hold, in one file and before another', async () => {
  const block = Buffer.alloc(64 * 1024 * 1024, 1);
  const blocks = 65;
  const bytes = blocks * block.length;
  const large: ZipFile = {
    ...file('large.csv', block),
    bytes,
    read: () => Array.from({ length: blocks }, () => block),
  };
  const zip = await collect(zipStream(these([large, file('after.png', Buffer.from('after'))]), folder));
  const read = await readZip(zip, ({ fileName }) => fileName === 'after.png');
  expect(read).toMatchObject([
    { name: 'large.csv', bytes },
    { name: 'after.png', bytes: 5, content: Buffer.from('after') },
  ]);
});

test('a file of another length than was said breaks the zip off', async () => {
  const wrong = { ...file('a.png', Buffer.from('one')), bytes: 4 };
  await expect(collect(zipStream(these([wrong]), folder))).rejects.toThrow('a.png has 3 bytes, not 4');
});
