import { UploadError } from '@renderyard/api/batches/upload-error';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openIntakeBench, pieces } from './intake-bench.ts';

let bench: Awaited<ReturnType<typeof openIntakeBench>>;
beforeAll(async () => {
  bench = await openIntakeBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

const NDJSON = { type: 'application/x-ndjson' };
const JSON_TYPE = { type: 'application/json' };

async function refused(body: string | Iterable<Buffer>, settings: object): Promise<UploadError> {
  const error = await bench.import(body, settings).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof UploadError) return error;
  throw new Error('The upload was not refused.', { cause: error });
}

test.each(['application/x-ndjson', 'application/jsonl', 'application/ndjson; charset=utf-8'])(
  'lines of %s become rows; blank lines are skipped and counted',
  async (type) => {
    const imported = await bench.import('{"prompt":"a"}\r\n\n  \n{"prompt":"b","n":[1,{"x":null}]}', { type });
    expect(imported.columns).toEqual(['prompt', 'n']);
    expect(imported.rowRecords.map(({ line, values }) => [line, values])).toEqual([
      [1, ['a']],
      [4, ['b', [1, { x: null }]]],
    ]);
    expect(imported.source.format).toBe('ndjson');
  },
);

test.each([
  ['no JSON', '{"prompt":"b",}', 'invalid_json'],
  ['half an object', '{"prompt":"b"', 'invalid_json'],
  ['two objects', '{"prompt":"b"}{"prompt":"c"}', 'invalid_json'],
  ['a name twice', '{"prompt":"b","prompt":"c"}', 'duplicate_name'],
  ['__proto__', '{"prompt":"b","__proto__":{"x":1}}', 'forbidden_name'],
  ['half of a surrogate pair', '{"prompt":"\\ud83d"}', 'invalid_format'],
  ['bottomless nesting', `{"prompt":"b","x":${'['.repeat(40)}${']'.repeat(40)}}`, 'too_deep'],
  ['a number that cannot be kept', '{"prompt":"b","x":12345678901234567890}', 'not_exact'],
])('a line with %s is rejected alone', async (_, line, code) => {
  const imported = await bench.import(`{"prompt":"a"}\n${line}\n{"prompt":"z"}\n`, NDJSON);
  expect(imported.rowRecords.map(({ values }) => values[0])).toEqual(['a', 'z']);
  expect(imported.rejectedLines.map((rejected) => [rejected.line, rejected.problems[0]?.code])).toEqual([[2, code]]);
});

test('the column of what is no JSON is told', async () => {
  const imported = await bench.import('{"prompt":"a"}\n{"prompt":"b" "c"}\n', NDJSON);
  expect(imported.rejectedLines[0]?.problems[0]?.detail).toContain('character 15');
});

test('a line that is too long is rejected; one that does not end is refused at once', async () => {
  const limits = { mostRowBytes: 1024 };
  const long = JSON.stringify({ prompt: 'b'.repeat(1100) });
  const imported = await bench.import(`{"prompt":"a"}\n${long}\n{"prompt":"c"}\n`, { ...NDJSON, limits });
  expect(imported.rejectedLines.map(({ line, problems }) => [line, problems[0]?.code])).toEqual([[2, 'row_too_long']]);
  expect(imported.rows).toBe(2);

  let read = 0;
  function* endless() {
    yield Buffer.from('{"prompt":"a"}\n"');
    for (; read < 50_000_000; read += 65_536) yield Buffer.alloc(65_536, 'x');
  }
  expect(await refused(endless(), NDJSON)).toMatchObject({ code: 'row_too_long', line: 2 });
  expect(read).toBeLessThan(600_000);
});

test('any lines come out as they were written, however they are cut', async () => {
  const value = fc.jsonValue({ maxDepth: 3 }).filter((json) => !JSON.stringify(json).includes('__proto__'));
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.tuple(
          fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed()),
          value,
        ),
        { minLength: 1, maxLength: 6 },
      ),
      fc.integer({ min: 1, max: 30 }),
      async (items, size) => {
        const written = items.map(([prompt, kept]) => ({ prompt: `p${prompt}`, kept }));
        const safe = written.filter(({ kept }) => isExact(kept));
        const text = safe.map((item) => `${JSON.stringify(item)}\n`).join('');
        if (safe.length === 0) return;
        const imported = await bench.import(pieces(Buffer.from(text), size), NDJSON);
        expect(imported.rejectedLines).toEqual([]);
        const back = imported.rowRecords.map(({ values: [prompt, kept] }) => ({ prompt, kept: kept ?? null }));
        expect(JSON.stringify(back)).toBe(JSON.stringify(safe));
      },
    ),
    { numRuns: 100 },
  );
});

function isExact(value: unknown): boolean {
  if (typeof value === 'number') return !Number.isInteger(value) || Number.isSafeInteger(value);
  return typeof value !== 'object' || value === null || Object.values(value).every(isExact);
}

test('the items of a document become rows, and the members beside them are options', async () => {
  const document = { name: 'n', defaults: { steps: 20 }, items: [{ prompt: 'a' }, { prompt: 'b', mood: 'calm' }] };
  const imported = await bench.import(JSON.stringify(document), JSON_TYPE);
  expect(imported.fields).toEqual({ name: 'n', defaults: { steps: 20 } });
  expect(imported.rowRecords.map(({ line, values }) => [line, values])).toEqual([
    [1, ['a']],
    [2, ['b', 'calm']],
  ]);
});

test('an array is a list of items', async () => {
  const items = Array.from({ length: 1200 }, (_, n) => ({ prompt: `p${n}` }));
  const imported = await bench.import(JSON.stringify(items, null, 2), JSON_TYPE);
  expect(imported.fields).toEqual({});
  expect(imported.rowRecords.map(({ values }) => values[0])).toEqual(items.map(({ prompt }) => prompt));
});

test('an item that cannot be carried is rejected alone', async () => {
  const imported = await bench.import('[{"prompt":"a"},{"prompt":"\\ud83d"},{"prompt":"c"}]', JSON_TYPE);
  expect(imported.rejectedLines.map(({ line, problems }) => [line, problems[0]?.code])).toEqual([
    [2, 'invalid_format'],
  ]);
  expect(imported.rows).toBe(2);
});

test('an item that is too long is rejected alone', async () => {
  const items = [{ prompt: 'a' }, { prompt: 'b', more: [{ text: 'x'.repeat(3_000_000) }] }, { prompt: 'c' }];
  const imported = await bench.import([Buffer.from(JSON.stringify(items))], JSON_TYPE);
  expect(imported.rejectedLines.map(({ line, problems }) => [line, problems[0]?.code])).toEqual([[2, 'row_too_long']]);
  expect(imported.rows).toBe(2);
});

test.each([
  ['no JSON', '{"items":[}', 'invalid_json', 'column 11'],
  ['a name twice', '{"items":[{"prompt":"a"}],"name":"x","name":"y"}', 'invalid_json', '/name'],
  [
    'options that poison prototypes',
    '{"items":[{"prompt":"a"}],"metadata":{"__proto__":1}}',
    'invalid_json',
    '__proto__',
  ],
  ['no items', '{"prompt":"a"}', 'no_items', 'items'],
  ['items that are no array', '{"items":{"prompt":"a"}}', 'no_items', 'array'],
  ['null', 'null', 'no_items', 'array'],
  ['no items in the array', '[]', 'empty_upload', 'no rows'],
  ['nothing', '', 'empty_upload', 'no rows'],
  ['lines of NDJSON', '{"prompt":"a"}\n{"prompt":"b"}\n', 'invalid_json', 'application/x-ndjson'],
])('a document of %s is refused', async (_, text, code, hint) => {
  const error = await refused(text, JSON_TYPE);
  expect(error.code).toBe(code);
  expect(error.message).toContain(hint);
});

test('a document of more than 32 MiB is refused, and told of NDJSON', async () => {
  let read = 0;
  function* large() {
    yield Buffer.from('[{"prompt":"a"}');
    for (; read < 60_000_000; read += 65_536) yield Buffer.alloc(65_536, ',{"prompt":"more"}');
  }
  const error = await refused(large(), JSON_TYPE);
  expect(error.code).toBe('json_too_large');
  expect(error.message).toContain('NDJSON');
  expect(read).toBeLessThan(35_000_000);
});
