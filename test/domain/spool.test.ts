import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSpool, MEMORY_BYTES, type SpooledBody } from '@renderyard/worker/segmind/spool';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let parent = '';
let folder = '';
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'renderyard-spool-'));
  folder = join(parent, 'made', 'when-needed');
});
afterEach(async () => {
  await rm(parent, { recursive: true });
});

const SOURCE = randomBytes(MEMORY_BYTES + 2 ** 20);
const files = () => readdir(folder).catch(() => []);
const spoolOf = (options: { cap?: number; expected?: number; name?: string } = {}) =>
  createSpool({ folder, name: options.name ?? 'call', cap: options.cap ?? SOURCE.length, expected: options.expected });

/** The body in chunks of these sizes, the last one again and again until all is there. */
function* chunks(body: Buffer, sizes: readonly number[]): Generator<Buffer> {
  for (let at = 0, i = 0; at < body.length; i++) {
    const size = Math.max(1, sizes[Math.min(i, sizes.length - 1)] ?? 1);
    yield body.subarray(at, at + size);
    at += size;
  }
}

/** Whether what the spool says of itself is true of the body that was written. */
async function expectWhole(spooled: SpooledBody, body: Buffer): Promise<void> {
  expect(spooled.bytes).toBe(body.length);
  expect(spooled.sha256).toBe(createHash('sha256').update(body).digest('hex'));
  const kept = spooled.body instanceof Uint8Array ? Buffer.from(spooled.body) : await readFile(spooled.body.path);
  expect(kept.equals(body)).toBe(true);
  expect(spooled.head.length).toBeGreaterThanOrEqual(Math.min(body.length, 512 * 1024));
  expect(Buffer.from(spooled.head).equals(body.subarray(0, spooled.head.length))).toBe(true);
  expect(spooled.tail.length).toBeGreaterThanOrEqual(Math.min(body.length, 4096));
  expect(Buffer.from(spooled.tail).equals(body.subarray(body.length - spooled.tail.length))).toBe(true);
}

describe('a spool', () => {
  it.each([
    ['one byte below 8 MiB', MEMORY_BYTES - 1, true],
    ['8 MiB', MEMORY_BYTES, true],
    ['one byte above 8 MiB', MEMORY_BYTES + 1, false],
    ['9 MiB', MEMORY_BYTES + 2 ** 20, false],
  ])('keeps %s where it says, whatever the chunks', async (_, length, inMemory) => {
    const body = SOURCE.subarray(0, length);
    const chunkings = [[length], [1, length - 1], [length - 1, 1], [700_001, 3]];
    for (const [index, sizes] of chunkings.entries()) {
      const spool = spoolOf({ name: `call-${index}` });
      // Three bytes at a time would take minutes: the pattern ends in large chunks.
      for (const chunk of chunks(body, [...sizes, 2 ** 19])) expect(await spool.write(chunk)).toBe(true);
      const spooled = await spool.end();
      expect(spooled.body instanceof Uint8Array).toBe(inMemory);
      await expectWhole(spooled, body);
      await spooled.discard();
      expect(await files()).toEqual([]);
    }
  });

  it('keeps any body in any chunks, whatever length was announced', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 6 });
    const announced = fc.option(fc.integer({ min: 0, max: 400_000 }), { nil: undefined });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 300_000 }), sizes, announced, async (length, pattern, expected) => {
        const body = SOURCE.subarray(0, length);
        const spool = spoolOf(expected === undefined ? {} : { expected });
        for (const chunk of chunks(body, [...pattern, 50_000])) await spool.write(chunk);
        await expectWhole(await spool.end(), body);
      }),
      { numRuns: 100 },
    );
    expect(await files()).toEqual([]);
  });

  it('takes exactly its cap and not a byte more, and leaves out the chunk that is too much', async () => {
    const spool = spoolOf({ cap: 100 });
    expect(await spool.write(SOURCE.subarray(0, 60))).toBe(true);
    expect(await spool.write(SOURCE.subarray(60, 101))).toBe(false);
    expect(await spool.write(SOURCE.subarray(60, 100))).toBe(true);
    expect(await spool.write(SOURCE.subarray(0, 1))).toBe(false);
    await expectWhole(await spool.end(), SOURCE.subarray(0, 100));
  });

  it('is not misled by a chunk whose memory is used again for the next bytes', async () => {
    const spool = spoolOf({ cap: 2 * MEMORY_BYTES });
    const chunk = Buffer.alloc(5 * 2 ** 20, 1);
    await spool.write(chunk);
    await spool.write(chunk.fill(2));
    chunk.fill(3);
    const spooled = await spool.end();
    await expectWhole(spooled, Buffer.concat([Buffer.alloc(chunk.length, 1), Buffer.alloc(chunk.length, 2)]));
    await spooled.discard();
  });

  it.each(['while it is written', 'after its end'])(
    'leaves no file when it is discarded %s, even twice',
    async (when) => {
      const spool = spoolOf();
      await spool.write(SOURCE);
      expect(await files()).toEqual(['call']);
      const spooled = when === 'after its end' ? await spool.end() : undefined;
      await spool.discard();
      await spooled?.discard();
      await spool.discard();
      expect(await files()).toEqual([]);
    },
  );

  it('makes no file, nor a folder, for what fits into memory', async () => {
    const spool = spoolOf();
    await spool.write(SOURCE.subarray(0, 1000));
    await spool.end();
    expect(await readdir(parent)).toEqual([]);
  });

  it('neither overwrites nor removes the file of another call of its name', async () => {
    const first = spoolOf();
    await first.write(SOURCE);
    await writeFile(join(folder, 'call'), 'theirs');
    const second = spoolOf();
    await second.write(SOURCE);
    await expectWhole(await second.end(), SOURCE);
    await second.discard();
    expect(await readFile(join(folder, 'call'), 'utf8')).toBe('theirs');
    await first.discard();
  });

  it('goes on in memory, whole, where its file cannot be written any more', async () => {
    const spool = spoolOf();
    await spool.write(SOURCE.subarray(0, MEMORY_BYTES));
    // A folder in place of the file: nothing can be written there, whoever asks.
    await mkdir(join(folder, 'call'), { recursive: true });
    await spool.write(SOURCE.subarray(MEMORY_BYTES));
    const spooled = await spool.end();
    expect(spooled.body).toBeInstanceOf(Uint8Array);
    await expectWhole(spooled, SOURCE);
    await spool.discard();
  });
});
