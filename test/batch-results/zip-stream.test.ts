import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { type ZipFile, zipStream } from '@renderyard/api/batches/results/zip-stream';
import { missingZip64End } from '@renderyard/api/batches/results/zip64-end';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { collect, readZip } from './zip-reading.ts';

let folder: string;
beforeAll(async () => {
  folder = await makeTemporaryFolder('zip');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const file = (name: string, data: Buffer, modifiedAt = Date.UTC(2024, 1, 29, 12, 34, 56)): ZipFile => ({
  ...{ name, bytes: data.length, modifiedAt },
  read: () => [data],
});

async function* these(files: Iterable<ZipFile>) {
  yield* files;
}

test('what was packed is unpacked: names, contents and times', async () => {
  const files = [
    file('000001.png', Buffer.from('one')),
    file('Bären/狐狸 🦊.jpg', Buffer.alloc(100_000, 7)),
    file('empty.webp', Buffer.alloc(0), Date.UTC(1990, 0, 2)),
  ];
  const { pieces } = await collect(zipStream(these(files)));
  const zip = Buffer.concat(pieces.map(({ data }) => data));
  const read = await readZip(zip);
  expect(read).toEqual(
    files.map(({ name, bytes, modifiedAt, read: of }) => {
      const content = Buffer.concat([...(of() as Iterable<Uint8Array>)]);
      return { name, bytes, crc32: crc32(content), modifiedAt, content };
    }),
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
    zipStream(these([file('a/ä.png', Buffer.from('one')), file('b.csv', Buffer.from('x'))])),
  );
  const path = join(folder, 'some.zip');
  await writeFile(path, Buffer.concat(pieces.map(({ data }) => data)));
  expect((await run('unzip', ['-t', path])).stdout).toContain('No errors detected');
});

/** Checksums of gigabytes, and many small steps, on a machine that has other things to do. */
const SLOW = { timeout: 180_000 };

test('more files than the plain format can count', SLOW, async () => {
  const count = 70_000;
  const data = Buffer.from('x');
  const files = Array.from({ length: count }, (_, index) => file(`${index}.png`, data));
  const { pieces } = await collect(zipStream(these(files)));
  const zip = Buffer.concat(pieces.map(({ data }) => data));
  const read = await readZip(zip, () => false);
  expect(read).toHaveLength(count);
  expect(read.at(-1)?.name).toBe(`${count - 1}.png`);
  // Ours is not needed any more once there are two.
  const end = Buffer.from('PK\x06\x06');
  expect(zip.indexOf(end)).toBe(zip.lastIndexOf(end));
});

test('the end of zip64 is added from 65,535 files on, unless the zip has it for its length already', () => {
  const end = (offset: number) => {
    const record = Buffer.alloc(22);
    record.writeUInt32LE(500, 12);
    record.writeUInt32LE(offset, 16);
    return record;
  };
  expect(missingZip64End(end(9000), 65_534)).toHaveLength(0);
  expect(missingZip64End(end(0xffffffff), 70_000)).toHaveLength(0);
  const made = Buffer.from(missingZip64End(end(9000), 65_535));
  expect([24, 32, 40, 48, 64].map((at) => Number(made.readBigUInt64LE(at)))).toEqual([65_535, 65_535, 500, 9000, 9500]);
});

test('more bytes than the plain format can hold, in one file and before another', SLOW, async () => {
  const block = Buffer.alloc(64 * 1024 * 1024, 1);
  const blocks = 65;
  const bytes = blocks * block.length;
  const large: ZipFile = {
    ...file('large.csv', block),
    bytes,
    read: () => Array.from({ length: blocks }, () => block),
  };
  const zip = await collect(zipStream(these([large, file('after.png', Buffer.from('after'))])));
  const read = await readZip(zip, ({ fileName }) => fileName === 'after.png');
  expect(read).toMatchObject([
    { name: 'large.csv', bytes },
    { name: 'after.png', bytes: 5, content: Buffer.from('after') },
  ]);
});

test('a file of another length than was said breaks the zip off', async () => {
  const wrong = { ...file('a.png', Buffer.from('one')), bytes: 4 };
  await expect(collect(zipStream(these([wrong])))).rejects.toThrow('a.png has 3 bytes, not 4');
});

/** Files without end, each of many chunks; told are those that were asked for, and those whose reading has ended. */
function endless() {
  const told = { asked: 0, chunks: 0, closed: 0, over: false };
  async function* chunks() {
    try {
      for (; ; told.chunks++) yield Buffer.alloc(20_000);
    } finally {
      told.closed++;
    }
  }
  async function* files() {
    try {
      for (;;) {
        const name = `${told.asked++}.png`;
        // The first one is short, so that the second one is read when the zip is left.
        yield told.asked === 1 ? file(name, Buffer.alloc(50_000)) : { ...file(name, Buffer.alloc(0)), read: chunks };
      }
    } finally {
      told.over = true;
    }
  }
  return { told, files };
}

test('a file is asked for in its turn, no more is read than is taken, and a zip that is left closes what it reads', async () => {
  const { told, files } = endless();
  const zip = zipStream(files());
  expect((await zip.next()).done).toBe(false);
  expect(told.asked).toBeLessThan(3);
  expect(told.chunks).toBeLessThan(5);
  for (let piece = 0; piece < 10; piece++) await zip.next();
  expect(told.asked).toBe(2);
  expect(told.chunks).toBeGreaterThan(5);
  expect(told.chunks).toBeLessThan(15);
  await zip.return(undefined);
  expect(told).toMatchObject({ asked: 2, closed: 1, over: true });
});

test('a file that cannot be read breaks the zip off with its own error, and ends the files', async () => {
  let over = false;
  async function* lost() {
    yield Buffer.from('a');
    throw new Error('The store has lost it.');
  }
  async function* files() {
    try {
      yield { ...file('a.png', Buffer.from('ab')), read: lost };
      yield file('b.png', Buffer.from('b'));
    } finally {
      over = true;
    }
  }
  await expect(collect(zipStream(files()))).rejects.toThrow('The store has lost it.');
  expect(over).toBe(true);
});

test('files that cannot be listed to their end break the zip off with their own error', async () => {
  async function* files() {
    yield file('a.png', Buffer.from('a'));
    throw new Error('An image is missing.');
  }
  await expect(collect(zipStream(files()))).rejects.toThrow('An image is missing.');
});
