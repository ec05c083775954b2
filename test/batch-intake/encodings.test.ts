import { UploadError } from '@renderyard/api/batches/upload-error';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openIntakeBench, pieces } from './intake-bench.ts';

let bench: Awaited<ReturnType<typeof openIntakeBench>>;
beforeAll(async () => {
  bench = await openIntakeBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

async function refused(body: Uint8Array | Iterable<Buffer>, settings = {}): Promise<UploadError> {
  const error = await bench.import(body, settings).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof UploadError) return error;
  throw new Error('The upload was not refused.', { cause: error });
}

const utf16le = (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le');
const TEXT = 'prompt,n\nein Bär 🐻 in 東京,1\n';

test.each([
  ['UTF-8', Buffer.from(TEXT), 'text/csv'],
  ['UTF-8 with a byte order mark', Buffer.from(`\ufeff${TEXT}`), 'text/csv; charset=utf-8'],
  ['UTF-16 LE', utf16le(TEXT), 'text/csv'],
  ['UTF-16 BE', utf16le(TEXT).swap16(), 'text/csv'],
  ['UTF-16 LE, as its type says', utf16le(TEXT), 'text/csv; charset="UTF-16LE"'],
  ['UTF-16 BE, as its type says', utf16le(TEXT).swap16(), 'text/csv;charset=utf-16'],
])('%s is read, whatever characters the pieces cut in two', async (_, bytes, type) => {
  for (const size of [1, 2, 3, 1000]) {
    const imported = await bench.import(pieces(bytes, size), { type });
    expect(imported.columns).toEqual(['prompt', 'n']);
    expect(imported.rowRecords.map(({ values }) => values)).toEqual([['ein Bär 🐻 in 東京', '1']]);
    expect(imported.source.bytes).toBe(bytes.length);
  }
});

test.each([1, 7, 1000])(
  'Latin-1 is refused with the line and the byte where it shows, in pieces of %i',
  async (size) => {
    const error = await refused(pieces(Buffer.from('prompt,n\na "b\nc" d,1\nein Bär,2\n', 'latin1'), size));
    expect(error).toMatchObject({ code: 'invalid_encoding', line: 4, value: '0xE4' });
    expect(error.message).toContain('line 4 has 0xE4 at byte 27 of the file');
    expect(error.message).toContain('Save the file as UTF-8');
  },
);

test('letters of Latin-1 that look like the beginning of a longer character are refused', async () => {
  expect(await refused(Buffer.from('prompt\ncaf\xe9', 'latin1'))).toMatchObject({ code: 'invalid_encoding', line: 2 });
  expect(await refused(Buffer.from('prompt\n\xe2\x82x', 'latin1'))).toMatchObject({
    code: 'invalid_encoding',
    line: 2,
  });
  expect(await refused(Buffer.from('prompt\n\xed\xa0\x80', 'latin1'))).toMatchObject({ code: 'invalid_encoding' });
});

test('the replacement character is a character like any other', async () => {
  const imported = await bench.import(Buffer.from('prompt\na \ufffd b\n'));
  expect(imported.rowRecords[0]?.values).toEqual(['a \ufffd b']);
});

test('UTF-16 without a byte order mark is refused', async () => {
  const error = await refused(utf16le('prompt\na\n').subarray(2));
  expect(error).toMatchObject({ code: 'invalid_encoding', line: 1 });
  expect(error.message).toContain('UTF-16 without a byte order mark');
});

test('a NUL is refused with its line', async () => {
  expect(await refused(Buffer.from('prompt\na\nb\0c\n'))).toMatchObject({ code: 'invalid_encoding', line: 3 });
});

test.each([1, 2, 5, 1000])('half of a surrogate pair is refused with its line, in pieces of %i', async (size) => {
  const error = await refused(pieces(utf16le('prompt\na 🐻\nb \ud83d c\n'), size));
  expect(error).toMatchObject({ code: 'invalid_encoding', line: 3 });
  expect(error.message).toContain('half of a surrogate pair, 0xD83D at byte 31 of the file');
  expect(await refused(pieces(utf16le('prompt\na \udc3b'), size))).toMatchObject({ line: 2 });
  expect(await refused(pieces(utf16le('prompt\na \ud83d'), size))).toMatchObject({ line: 2 });
});

test('half of a character at the end is refused', async () => {
  expect(await refused(utf16le('prompt\nab').subarray(0, -1))).toMatchObject({ code: 'invalid_encoding', line: 2 });
  expect(await refused(Buffer.from('prompt\na€').subarray(0, -1))).toMatchObject({ code: 'invalid_encoding', line: 2 });
});

test.each([
  ['UTF-32 LE', Buffer.from([0xff, 0xfe, 0, 0, 0x70, 0, 0, 0])],
  ['UTF-32 BE', Buffer.from([0, 0, 0xfe, 0xff, 0, 0, 0, 0x70])],
])('%s is refused by name', async (_, bytes) => {
  const error = await refused(bytes);
  expect(error.code).toBe('unsupported_charset');
  expect(error.message).toContain('UTF-32');
});

test.each([
  ['iso-8859-1', Buffer.from('prompt\na\n')],
  ['windows-1252', Buffer.from('prompt\na\n')],
  ['utf-16', Buffer.from('prompt\na\n')],
  ['utf-16be', utf16le('prompt\na\n')],
  ['iso-8859-1', utf16le('prompt\na\n')],
])('a type that says charset=%s is refused where the file shows something else', async (charset, bytes) => {
  const error = await refused(bytes, { type: `text/csv; charset=${charset}` });
  expect(error).toMatchObject({ code: 'unsupported_charset', value: charset });
});
