import { createHash } from 'node:crypto';
import { UploadError } from '@renderyard/api/batches/upload-error';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openIntakeBench } from './intake-bench.ts';

let bench: Awaited<ReturnType<typeof openIntakeBench>>;
beforeAll(async () => {
  bench = await openIntakeBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

const prompts = (imported: Awaited<ReturnType<typeof bench.import>>) =>
  imported.rowRecords.map(({ values }) => values[0]);

/** The error of an import, and how many bytes of the body were asked for until then. */
async function failure(body: Iterable<Buffer> | string, settings = {}) {
  let read = 0;
  function* counted() {
    for (const piece of typeof body === 'string' ? [Buffer.from(body)] : body) {
      read += piece.length;
      yield piece;
    }
  }
  const error = await bench.import(counted(), settings).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof UploadError)) throw new Error('The upload was not refused.', { cause: error });
  return { error, read };
}

function* endless(first: string, then: string, bytes: number): Generator<Buffer> {
  yield Buffer.from(first);
  const piece = Buffer.from(then.repeat(Math.ceil(65_536 / then.length)));
  for (let sent = 0; sent < bytes; sent += piece.length) yield piece;
}

test('a file becomes rows with their lines, and a sum of its bytes', async () => {
  const text = 'prompt,style\na cat,oil\n"a dog, asleep",ink\n';
  const imported = await bench.import(text);
  expect(imported.columns).toEqual(['prompt', 'style']);
  expect(imported.rowRecords.map(({ row, line, values }) => ({ row, line, values }))).toEqual([
    { row: 1, line: 2, values: ['a cat', 'oil'] },
    { row: 2, line: 3, values: ['a dog, asleep', 'ink'] },
  ]);
  expect(imported.source).toEqual({
    format: 'csv',
    delimiter: ',',
    bytes: 43,
    sha256: createHash('sha256').update(text).digest('hex'),
  });
});

test.each([
  ['commas', 'prompt,b\nx,1\n', ','],
  ['semicolons', 'prompt;b\nx;1\n', ';'],
  ['tabs', 'prompt\tb\nx\t1\n', '\t'],
  ['one column', 'prompt\nx\n', ','],
  ['delimiters inside of a quoted name', '"prompt";"a, b, c"\nx;1\n', ';'],
])('the delimiter is found in a header with %s', async (_, text, delimiter) => {
  const imported = await bench.import(text);
  expect(imported.source.delimiter).toBe(delimiter);
  expect(prompts(imported)).toEqual(['x']);
});

test('a tab-separated file is split at tabs only, whatever its header holds', async () => {
  const imported = await bench.import('prompt\tsize; weight, colour\nx\t1\n', { type: 'text/tab-separated-values' });
  expect(imported.columns).toEqual(['prompt', 'size; weight, colour']);
});

test('LF, CRLF and CR end rows, also when a file mixes them', async () => {
  const imported = await bench.import('prompt,n\r\na,1\nb,2\rc,3\r\n\r\nd,4');
  expect(imported.rowRecords.map(({ line, values }) => [line, ...values])).toEqual([
    [2, 'a', '1'],
    [3, 'b', '2'],
    [4, 'c', '3'],
    [6, 'd', '4'],
  ]);
});

test('line breaks inside of quotes count as the lines that they are in the file', async () => {
  const imported = await bench.import('\n\nprompt,n\n"a\r\nb\nc\rd",1\ne,2\n"f\r\n",3\ng,4\n');
  expect(imported.rowRecords.map(({ line, values }) => [line, values[0]])).toEqual([
    [4, 'a\r\nb\nc\rd'],
    [8, 'e'],
    [9, 'f\r\n'],
    [11, 'g'],
  ]);
});

test('quotes inside of a field are kept as they stand, with a warning that says where', async () => {
  const rows = ['a sign that says "open"\t1', '"G I G G L E" painted on a wall\t2', '5" of snow\t3', 'no quotes\t4'];
  const imported = await bench.import(`prompt\tn\n${rows.join('\n')}\n`, { type: 'text/tab-separated-values' });
  expect(imported.rowRecords.map(({ values }) => values.join('\t'))).toEqual(rows);
  expect(imported.report.warnings).toEqual([
    expect.objectContaining({ code: 'bare_quote', line: 2, column: 'prompt', value: 'a sign that says "open"' }),
  ]);
  expect(imported.report.warnings[0]?.detail).toContain('3 times');
});

test('properly quoted fields give no warning', async () => {
  const imported = await bench.import('prompt,n\n"say ""hi"", twice",1\n"""quoted""",2\n"",3\n');
  expect(prompts(imported)).toEqual(['say "hi", twice', '"quoted"']);
  expect(imported.report.warnings.filter(({ code }) => code === 'bare_quote')).toEqual([]);
});

test('a row with the wrong number of fields is rejected, and those after it are read', async () => {
  const imported = await bench.import('prompt,n\na,1\nb,2,3\nc\n"d\ne,4",5,6\nf,7\n');
  expect(prompts(imported)).toEqual(['a', 'f']);
  expect(imported.rejectedLines.map(({ line, values, problems }) => [line, values, problems[0]?.code])).toEqual([
    [3, ['b', '2', '3'], 'wrong_field_count'],
    [4, ['c'], 'wrong_field_count'],
    [5, ['d\ne,4', '5', '6'], 'wrong_field_count'],
  ]);
  expect(imported.rejectedLines[2]?.problems[0]?.detail).toContain('spans 2 lines');
});

test('a row that is too long is rejected, and those after it are read', async () => {
  const limits = { mostRowBytes: 1024 };
  const imported = await bench.import(`prompt,n\na,1\n${'b'.repeat(1100)},2\nc,3\n`, { limits });
  expect(prompts(imported)).toEqual(['a', 'c']);
  expect(imported.rejectedLines.map(({ line, problems }) => [line, problems[0]?.code])).toEqual([[3, 'row_too_long']]);
});

test('a file that is one endless line is refused as soon as that is clear', async () => {
  const { error, read } = await failure(endless('prompt,n\na,1\n', 'x', 50_000_000));
  expect(error).toMatchObject({ code: 'row_too_long', line: 3 });
  expect(error.message).toContain('131072');
  expect(read).toBeLessThan(600_000);
});

test('a header that does not end is refused', async () => {
  const { error, read } = await failure(endless('', 'x', 50_000_000));
  expect(error).toMatchObject({ code: 'row_too_long', line: 1 });
  expect(read).toBeLessThan(600_000);
});

test.each([257, 1000])('a header of %i columns is refused with their number', async (columns) => {
  const header = Array.from({ length: columns }, (_, n) => `c${n}`).join(',');
  const { error } = await failure(`${header}\n`);
  expect(error).toMatchObject({ code: 'too_many_columns', line: 1 });
  expect(error.message).toContain(String(columns));
});

test('a header of a million columns is refused without reading it', async () => {
  const { error, read } = await failure(endless('prompt', ',c', 50_000_000));
  expect(error.code).toBe('too_many_columns');
  expect(read).toBeLessThan(600_000);
});

test('a row of a million empty fields is refused', async () => {
  const { error, read } = await failure(endless('prompt,n\n', ',', 50_000_000));
  expect(error).toMatchObject({ code: 'row_too_long', line: 2 });
  expect(read).toBeLessThan(600_000);
});

test('a quote that is never closed is refused within the length of a row, and names its line', async () => {
  const { error, read } = await failure(endless('prompt,n\na,1\nb,"2\n', 'more rows,3\n', 256_000_000));
  expect(error).toMatchObject({ code: 'unclosed_quote', line: 3 });
  expect(error.message).toContain('65536');
  expect(read).toBeLessThan(600_000);
});

test('a quote that is closed far too late is refused, not taken for a long row', async () => {
  const { error } = await failure(`prompt,n\n"a,1\n${'b,2\n'.repeat(400)}c",3\n`, { limits: { mostRowBytes: 1024 } });
  expect(error).toMatchObject({ code: 'unclosed_quote', line: 2 });
});

test('a quote that is open at the end of the file is refused, and names the line on which it begins', async () => {
  const { error } = await failure('prompt,n\na,1\n"b\nc\n', {});
  expect(error).toMatchObject({ code: 'unclosed_quote', line: 3 });
});

test.each([
  ['nothing', ''],
  ['only empty lines', '\n'.repeat(100_000)],
  ['only a header', 'prompt,n\n'],
  ['only a header and empty lines', `prompt,n\n${'\r\n'.repeat(100_000)}`],
])('a file of %s is refused', async (_, text) => {
  const { error } = await failure([Buffer.from(text)]);
  expect(error.code).toBe('empty_upload');
});

test('more rows than are allowed are refused, counting those that were rejected', async () => {
  const { error } = await failure('prompt,n\na,1\nb\nc,3\nd,4\n', { limits: { mostRows: 3 } });
  expect(error.code).toBe('too_many_rows');
});

test('more blank lines than rows are allowed are refused', async () => {
  const limits = { mostRows: 100 };
  expect((await bench.import(`prompt,n\na,1\n${'\n'.repeat(100)}b,2\n`, { limits })).rows).toBe(2);
  const { error, read } = await failure(endless('prompt,n\n', '\n', 50_000_000), { limits });
  expect(error.code).toBe('too_many_rows');
  expect(error.message).toContain('blank lines');
  expect(read).toBeLessThan(600_000);
  const lines = [Buffer.from('{"prompt":"a"}\n'), Buffer.from(' \n'.repeat(101))];
  expect((await failure(lines, { type: 'application/x-ndjson', limits })).error.code).toBe('too_many_rows');
});

test('parts hold at most a thousand rows and two mebibytes, in order', async () => {
  const many = await bench.import(`prompt\n${Array.from({ length: 2500 }, (_, n) => `p${n}`).join('\n')}\n`);
  expect(many.parts.map(({ rows }) => rows)).toEqual([1000, 1000, 500]);
  expect(prompts(many)).toEqual(Array.from({ length: 2500 }, (_, n) => `p${n}`));

  const text = 'é'.repeat(15_000);
  const large = await bench.import(
    `prompt,note\n${Array.from({ length: 100 }, (_, n) => `p${n},${text}`).join('\n')}\n`,
  );
  expect(large.parts.length).toBe(2);
  for (const { bytes } of large.parts) expect(bytes).toBeLessThanOrEqual(2 * 1024 * 1024);
  expect(large.rowRecords.map(({ values }) => values[1])).toEqual(Array.from({ length: 100 }, () => text));
});

test('a dry run reads all and writes nothing', async () => {
  const imported = await bench.import('prompt,n\na,1\nb\n', { dryRun: true });
  expect(imported).toMatchObject({ rows: 1, rejected: 1, parts: [], rejected_parts: [] });
  expect(imported.preview.map(({ line }) => line)).toEqual([2]);
});
