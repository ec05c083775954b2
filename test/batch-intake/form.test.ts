import { gzipSync } from 'node:zlib';
import { UploadError } from '@renderyard/api/batches/upload-error';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openIntakeBench, pieces } from './intake-bench.ts';

let bench: Awaited<ReturnType<typeof openIntakeBench>>;
beforeAll(async () => {
  bench = await openIntakeBench();
});
afterAll(() => bench[Symbol.asyncDispose]());
afterEach(async () => {
  expect(await bench.spooled()).toEqual([]);
});

const BOUNDARY = '----a-boundary-of-the-tests';
const FORM = { type: `multipart/form-data; boundary=${BOUNDARY}` };
const TEXT = 'prompt,n\na,1\nb,2\n';

type Part = readonly [headers: string, body: string | Buffer];
const field = (name: string, value: string): Part => [`Content-Disposition: form-data; name="${name}"`, value];
const file = (name: string, body: string | Buffer, type?: string, as = 'file'): Part => [
  `Content-Disposition: form-data; name="${as}"; filename="${name}"${type === undefined ? '' : `\r\nContent-Type: ${type}`}`,
  body,
];

function form(...parts: readonly Part[]): Buffer {
  const bytes = parts.flatMap(([headers, body]) => [
    Buffer.from(`--${BOUNDARY}\r\n${headers}\r\n\r\n`),
    Buffer.from(body as string),
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...bytes, Buffer.from(`--${BOUNDARY}--\r\n`)]);
}

async function refused(body: Buffer | Iterable<Buffer>, settings: object = FORM): Promise<UploadError> {
  const error = await bench.import(body, settings).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof UploadError) return error;
  throw new Error('The upload was not refused.', { cause: error });
}

test.each([
  ['before', form(field('name', 'Bär'), field('budget', '2.5'), file('a.csv', TEXT, 'text/csv'))],
  ['after', form(file('a.csv', TEXT, 'text/csv'), field('name', 'Bär'), field('budget', '2.5'))],
  ['around', form(field('name', 'Bär'), file('a.csv', TEXT, 'text/csv'), field('budget', '2.5'))],
])('fields may stand %s the file', async (_, body) => {
  for (const size of [1, 13, 1000]) {
    const imported = await bench.import(pieces(body, size), FORM);
    expect(imported.fields).toEqual({ name: 'Bär', budget: '2.5' });
    expect(imported.rowRecords.map(({ values }) => values)).toEqual([
      ['a', '1'],
      ['b', '2'],
    ]);
    expect(imported.source).toMatchObject({ format: 'csv', filename: 'a.csv', bytes: TEXT.length });
  }
});

test('a form as fetch sends it is read', async () => {
  const data = new FormData();
  data.set('on_invalid', 'reject');
  data.set('file', new Blob([TEXT], { type: 'text/csv' }), 'Bär "1".csv');
  const request = new Request('http://renderyard.test', { method: 'POST', body: data });
  const imported = await bench.import(Buffer.from(await request.arrayBuffer()), {
    type: request.headers.get('content-type') ?? '',
  });
  expect(imported.fields).toEqual({ on_invalid: 'reject' });
  expect(imported.rows).toBe(2);
});

test.each([
  ['a.csv', undefined, TEXT, 'csv'],
  ['A.CSV', 'application/vnd.ms-excel', TEXT, 'csv'],
  ['a.txt', 'text/plain', TEXT.replaceAll(',', '\t'), 'csv'],
  ['a.tsv', 'application/octet-stream', TEXT.replaceAll(',', '\t'), 'csv'],
  ['a.csv.gz', 'application/gzip', gzipSync(TEXT), 'csv'],
  ['a', 'text/csv', TEXT, 'csv'],
  ['a.ndjson', undefined, '{"prompt":"a"}\n{"prompt":"b"}', 'ndjson'],
  ['a.jsonl.gz', 'application/octet-stream', gzipSync('{"prompt":"a"}\n{"prompt":"b"}'), 'ndjson'],
  ['a.json', 'application/json', '[{"prompt":"a"},{"prompt":"b"}]', 'json'],
])('%s of type %s is read by what it is', async (name, type, body, format) => {
  const imported = await bench.import(form(file(name, body, type)), FORM);
  expect(imported.source).toMatchObject({ format, filename: name });
  expect(imported.rowRecords.map(({ values }) => values[0])).toEqual(['a', 'b']);
});

test('a form may be compressed as a whole', async () => {
  const body = gzipSync(form(field('name', 'x'), file('a.csv', TEXT)));
  expect((await bench.import(body, { ...FORM, encoding: 'gzip' })).rows).toBe(2);
});

test('the options of a JSON file join those of the form, and must not be against them', async () => {
  const json = file('a.json', '{"items":[{"prompt":"a"}],"name":"x"}');
  expect((await bench.import(form(json, field('budget', '1')), FORM)).fields).toEqual({ name: 'x', budget: '1' });
  expect(await refused(form(json, field('name', 'y')))).toMatchObject({ code: 'invalid_field', column: 'name' });
});

test.each([
  ['no file', form(field('name', 'x')), 'file_missing'],
  ['two files', form(file('a.csv', TEXT), file('b.csv', TEXT)), 'several_files'],
  ['the file in another field', form(file('a.csv', TEXT, 'text/csv', 'upload')), 'invalid_multipart'],
  ['a file of a format that is not known', form(file('a.xlsx', 'PK', 'application/zip')), 'unsupported_format'],
  ['a file without a telling name', form(file('a', TEXT, 'application/octet-stream')), 'unsupported_format'],
  ['a field twice', form(field('name', 'x'), field('name', 'y'), file('a.csv', TEXT)), 'invalid_field'],
  ['a field that is too large', form(field('name', 'x'.repeat(70_000)), file('a.csv', TEXT)), 'invalid_field'],
  ['a field with a name that is too long', form(field('n'.repeat(200), 'x'), file('a.csv', TEXT)), 'invalid_field'],
  [
    'too many fields',
    form(...Array.from({ length: 70 }, (_, n) => field(`f${n}`, 'x')), file('a.csv', TEXT)),
    'invalid_field',
  ],
  ['a part without a name', form(['Content-Disposition: form-data', 'x'], file('a.csv', TEXT)), 'invalid_multipart'],
  [
    'a file in base64',
    form([`${file('a.csv', '')[0]}\r\nContent-Transfer-Encoding: base64`, TEXT]),
    'invalid_multipart',
  ],
])('a form with %s is refused', async (_, body, code) => {
  for (const size of [100, 100_000]) expect((await refused(pieces(body, size))).code).toBe(code);
});

test('a form that breaks off anywhere is refused', async () => {
  const whole = form(field('name', 'x'), file('a.csv', TEXT), field('budget', '1'));
  for (let length = 0; length < whole.length - 4; length += 5)
    expect((await refused(pieces(whole.subarray(0, length), 50))).code).toBe('invalid_multipart');
});

test('a type without a boundary is refused', async () => {
  expect((await refused(form(file('a.csv', TEXT)), { type: 'multipart/form-data' })).code).toBe('invalid_multipart');
});

test('a form is bounded, whatever it is made of', async () => {
  const limits = { mostBytes: 2048 };
  function* endless(first: Buffer, more: string) {
    yield first;
    for (let sent = 0; sent < 50_000_000; sent += 65_536) yield Buffer.alloc(65_536, more);
    throw new Error('All of it was read.');
  }
  const begun = form(file('a.csv', '')).subarray(0, -BOUNDARY.length - 8);
  expect((await refused(endless(begun, 'prompt\n'), { ...FORM, limits })).code).toBe('upload_too_large');
  expect((await refused(endless(Buffer.alloc(0), 'no part'), { ...FORM, limits })).code).toBe('upload_too_large');
  expect((await refused(endless(form(file('a.csv', TEXT)), 'after it'), { ...FORM, limits })).code).toBe(
    'upload_too_large',
  );
  const large = form(file('a.csv', `prompt\n${'a\n'.repeat(2000)}`));
  expect((await refused(pieces(large), { ...FORM, limits })).code).toBe('upload_too_large');
});
