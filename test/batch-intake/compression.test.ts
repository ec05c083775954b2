import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { UploadError } from '@renderyard/api/batches/upload-error';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openIntakeBench, pieces } from './intake-bench.ts';

let bench: Awaited<ReturnType<typeof openIntakeBench>>;
beforeAll(async () => {
  bench = await openIntakeBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

const TEXT = `prompt,n\n${Array.from({ length: 300 }, (_, n) => `picture ${n},${n}`).join('\n')}\n`;
const ZIPPED = gzipSync(TEXT);

async function codeOf(body: Uint8Array | Iterable<Buffer>, settings = {}): Promise<string> {
  const error = await bench.import(body, settings).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof UploadError) return error.code;
  throw new Error('The upload was not refused.', { cause: error });
}

test.each([
  ['Content-Encoding: gzip', ZIPPED, 'gzip'],
  ['Content-Encoding: x-gzip', ZIPPED, 'x-gzip'],
  ['the first bytes of the file', ZIPPED, undefined],
  ['the first bytes, under Content-Encoding: identity', ZIPPED, 'identity'],
  ['both', gzipSync(ZIPPED), 'gzip'],
  [
    'the first bytes, of several members',
    Buffer.concat([gzipSync(TEXT.slice(0, 1000)), gzipSync(TEXT.slice(1000))]),
    '',
  ],
])('gzip is undone that is told by %s', async (_, bytes, encoding) => {
  for (const size of [1, 1000, 1_000_000]) {
    const imported = await bench.import(pieces(bytes, size), encoding === undefined ? {} : { encoding });
    expect(imported.rows).toBe(300);
    expect(imported.source).toMatchObject({
      bytes: TEXT.length,
      sha256: createHash('sha256').update(TEXT).digest('hex'),
    });
  }
});

test.each(['br', 'deflate', 'zstd', 'gzip, gzip'])('Content-Encoding %s is refused', async (encoding) => {
  expect(await codeOf(ZIPPED, { encoding })).toBe('unsupported_encoding');
});

test.each([
  ['is cut short', ZIPPED.subarray(0, -20)],
  ['has no bytes', Buffer.alloc(0)],
  ['is no gzip at all', Buffer.from(TEXT)],
  ['has a wrong sum', Buffer.concat([ZIPPED.subarray(0, -8), Buffer.alloc(8, 7)])],
  ['is followed by something else', Buffer.concat([ZIPPED, Buffer.from('prompt,n\nmore,1\n')])],
])('a gzip stream that %s is refused', async (_, bytes) => {
  for (const size of [1, 1000, 1_000_000])
    expect(await codeOf(pieces(bytes, size), { encoding: 'gzip' })).toBe('broken_gzip');
});

test('the limit counts the bytes that come out, and nothing beyond it is unpacked', async () => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, 'prompt\n'));
  const before = process.memoryUsage.rss();
  const limits = { mostBytes: 1024 * 1024, mostRows: 1e9 };
  expect(await codeOf([bomb], { encoding: 'gzip', limits })).toBe('upload_too_large');
  expect(await codeOf([bomb], { limits })).toBe('upload_too_large');
  expect(await codeOf([gzipSync(bomb)], { encoding: 'gzip', limits })).toBe('upload_too_large');
  expect(process.memoryUsage.rss() - before).toBeLessThan(48 * 1024 * 1024);
});

test('a bomb of zeros is refused with its first piece, within any limit', async () => {
  const startedAt = performance.now();
  expect(await codeOf([gzipSync(Buffer.alloc(256 * 1024 * 1024))], { limits: { mostBytes: 2 ** 40 } })).toBe(
    'invalid_encoding',
  );
  expect(performance.now() - startedAt).toBeLessThan(10_000);
});

test('an upload of exactly the limit is taken', async () => {
  expect((await bench.import(TEXT, { limits: { mostBytes: TEXT.length } })).rows).toBe(300);
  expect(await codeOf(Buffer.from(TEXT), { limits: { mostBytes: TEXT.length - 1 } })).toBe('upload_too_large');
});
