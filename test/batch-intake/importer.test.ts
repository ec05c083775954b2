import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createImporter, type ImportResult } from '@renderyard/api/batches/intake/importer';
import { rowsKey } from '@renderyard/shared/batch/batch-layout';
import { systemClock } from '@renderyard/shared/clock';
import { readConfig } from '@renderyard/shared/config';
import { createLogger } from '@renderyard/shared/logger';
import { DEFAULT_MODEL } from '@renderyard/shared/model/model';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { BATCH, openTestStore, readParts, readText } from './intake-bench.ts';

const READ = { on_invalid: 'skip', model: DEFAULT_MODEL } as const;
const OPTIONS = { read: READ, dryRun: false };
const never = new AbortController().signal;

/** An importer as the API has it, in a data directory of its own. */
async function startImporter({ env = {}, patienceMs }: { env?: Record<string, string>; patienceMs?: number } = {}) {
  const dataDir = await makeTemporaryFolder('importer');
  const config = readConfig({ DATA_DIR: dataDir, ...env });
  const store = openTestStore(dataDir);
  const importer = createImporter({
    config,
    signingKey: Buffer.alloc(32),
    store,
    clock: systemClock,
    logger: createLogger({ service: 'test', level: 'silent' }),
    ...(patienceMs === undefined ? {} : { patienceMs }),
  });
  const keys = async (upload: string) => {
    const found: string[] = [];
    for await (const { key } of store.list('')) if (key.includes(`-${upload}.`)) found.push(key);
    return found;
  };
  return {
    dataDir,
    store,
    keys,
    import: (
      body: Readable,
      {
        upload = 'u',
        type = 'text/csv',
        options = () => OPTIONS,
        signal = never,
      }: {
        upload?: string;
        type?: string;
        options?: Parameters<typeof importer.import>[1]['options'];
        signal?: AbortSignal;
      } = {},
    ): Promise<ImportResult> =>
      importer.import(
        { body, contentType: type, contentEncoding: undefined },
        { batch: BATCH, upload, options },
        { signal },
      ),
    async [Symbol.asyncDispose]() {
      await importer.close();
      await store.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

const csv = (rows: number) => `prompt,n\n${Array.from({ length: rows }, (_, n) => `picture ${n},${n}\n`).join('')}`;
const bodyOf = (...texts: string[]) =>
  Readable.from(
    texts.map((text) => Buffer.from(text)),
    { objectMode: false },
  );

/** A body that goes on as it is told. */
function openBody() {
  const body = new Readable({ read() {} });
  return { body, push: (text: string) => body.push(text), end: () => body.push(null) };
}

/** Resolves when the parts of an upload have begun to be there. */
const untilWritten = (upload: string) =>
  vi.waitFor(async () => expect((await yard.keys(upload)).length).toBeGreaterThan(0), { timeout: 20_000 });

/** Shared by those that need no other: its threads start once, as those of the API do. */
let yard: Awaited<ReturnType<typeof startImporter>>;
beforeAll(async () => {
  yard = await startImporter();
});
afterAll(() => yard[Symbol.asyncDispose]());

test('an upload is read in a thread into parts whose sums are those of the stored bytes', async () => {
  const text = csv(2500);
  const result = await yard.import(bodyOf(text));
  expect(result).toMatchObject({
    rows: 2500,
    rejected: 0,
    columns: ['prompt', 'n'],
    source: { format: 'csv', bytes: text.length, sha256: createHash('sha256').update(text).digest('hex') },
  });
  const { rowRecords } = await readParts(yard.store, 'u', result);
  expect(rowRecords.map(({ row, values }) => [row, ...values])).toEqual(
    Array.from({ length: 2500 }, (_, n) => [n + 1, `picture ${n}`, String(n)]),
  );
  for (const [part, { rows, bytes, sha256 }] of result.parts.entries()) {
    const stored = await readText(yard.store, rowsKey(BATCH, 'u', part));
    expect({ rows: stored.split('\n').length - 1, bytes: Buffer.byteLength(stored), sha256 }).toEqual({
      rows,
      bytes,
      sha256: createHash('sha256').update(stored).digest('hex'),
    });
  }
});

test('the API has its thread to itself meanwhile', async () => {
  await yard.import(bodyOf(csv(10)));
  const before = performance.eventLoopUtilization();
  await yard.import(bodyOf(csv(60_000)), { upload: 'v' });
  expect(performance.eventLoopUtilization(before).utilization).toBeLessThan(0.5);
});

test('an upload that fails leaves no part, and the next is read', async () => {
  const { body, push, end } = openBody();
  const importing = yard.import(body, { upload: 'failing' });
  const failed = expect(importing).rejects.toMatchObject({ name: 'UploadError', code: 'unclosed_quote', line: 3002 });
  push(csv(3000));
  await untilWritten('failing');
  push('"never closed\n');
  end();
  await failed;
  expect(await yard.keys('failing')).toEqual([]);
  expect((await yard.import(bodyOf(csv(3)))).rows).toBe(3);
});

test('an upload that breaks off leaves no part, and the next is read', async () => {
  const { body, push } = openBody();
  const importing = yard.import(body, { upload: 'broken' });
  const failed = expect(importing).rejects.toMatchObject({ code: 'upload_incomplete' });
  push(csv(3000));
  await untilWritten('broken');
  body.destroy(new Error('The sender went away.'));
  await failed;
  expect(await yard.keys('broken')).toEqual([]);
  expect((await yard.import(bodyOf(csv(3)))).rows).toBe(3);
});

test('an import that is aborted ends with the reason, leaves no part and the body as it is', async () => {
  const { body, push } = openBody();
  const aborted = new AbortController();
  const importing = yard.import(body, { upload: 'aborted', signal: aborted.signal });
  const failed = expect(importing).rejects.toThrow('no longer wanted');
  push(csv(3000));
  await untilWritten('aborted');
  aborted.abort(new Error('no longer wanted'));
  await failed;
  expect(await yard.keys('aborted')).toEqual([]);
  expect(body.destroyed).toBe(false);
  expect((await yard.import(bodyOf(csv(3)))).rows).toBe(3);
});

test('an import that is aborted before it begins reads nothing', async () => {
  const { body } = openBody();
  const signal = AbortSignal.abort(new Error('too late'));
  await expect(yard.import(body, { signal })).rejects.toThrow('too late');
});

test('what the options throw ends the import, and is thrown by it', async () => {
  const wrong = new TypeError('the options are wrong');
  const options = () => {
    throw wrong;
  };
  await expect(yard.import(bodyOf(csv(3)), { options })).rejects.toBe(wrong);
  await expect(yard.import(bodyOf('{"items":[{"prompt":"a"}]}'), { options, type: 'application/json' })).rejects.toBe(
    wrong,
  );
  expect((await yard.import(bodyOf(csv(3)))).rows).toBe(3);
});

test('the options of a document are asked for with its members', async () => {
  const seen: unknown[] = [];
  const options = (fields: Readonly<Record<string, unknown>>) => {
    seen.push(fields);
    return Promise.resolve({ read: READ, dryRun: fields.dry_run === true });
  };
  const document = JSON.stringify({ items: [{ prompt: 'a' }], dry_run: true });
  const result = await yard.import(bodyOf(document), { upload: 'dry', options, type: 'application/json' });
  expect(seen).toEqual([{ dry_run: true }]);
  expect(result).toMatchObject({ rows: 1, parts: [], fields: { dry_run: true } });
  expect(await yard.keys('dry')).toEqual([]);
});

test('a body is held back while the thread cannot take more of it', async () => {
  let sent = 0;
  function* large() {
    yield Buffer.from('prompt\n');
    for (; sent < 6_000_000; sent += 70_000) yield Buffer.alloc(70_000, `${'x'.repeat(999)}\n`);
  }
  const { promise: options, resolve: answer } = Promise.withResolvers<typeof OPTIONS>();
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const importing = yard.import(Readable.from(large(), { objectMode: false }), {
    options: () => {
      ask();
      return options;
    },
  });
  await asked;
  for (let turn = 0; turn < 200; turn++) await setImmediate();
  expect(sent).toBeGreaterThan(1_000_000);
  expect(sent).toBeLessThan(2_000_000);
  answer(OPTIONS);
  expect((await importing).source.bytes).toBe(sent + 7);
});

test('two uploads are read at a time; a third waits for one of them', async () => {
  const [first, second] = [openBody(), openBody()];
  const importing = [first, second].map(({ body }, n) => yard.import(body, { upload: `u${n}` }));
  const third = yard.import(bodyOf(csv(5)), { upload: 'third' });
  first.push(csv(2));
  first.end();
  expect((await importing[0])?.rows).toBe(2);
  expect((await third).rows).toBe(5);
  second.push(csv(3));
  second.end();
  expect((await importing[1])?.rows).toBe(3);
});

test('an upload that waits in vain is told to come again, and keeps nobody from a turn', async () => {
  await using yard = await startImporter({ patienceMs: 30 });
  const bodies = [openBody(), openBody()];
  const importing = bodies.map(({ body }, n) => yard.import(body, { upload: `u${n}` }));
  await expect(yard.import(bodyOf(csv(5)), { upload: 'v' })).rejects.toMatchObject({ code: 'imports_busy' });
  await expect(yard.import(bodyOf(csv(5)), { signal: AbortSignal.timeout(5) })).rejects.toThrow();
  for (const { push, end } of bodies) {
    push(csv(1));
    end();
  }
  await Promise.all(importing);
  const both = await Promise.all(['w', 'x'].map((upload) => yard.import(bodyOf(csv(2)), { upload })));
  expect(both.map(({ rows }) => rows)).toEqual([2, 2]);
});

test('a thread that dies fails its import and nothing else', async () => {
  // No key can have this prefix: the thread cannot open its store.
  await using yard = await startImporter({ env: { S3_BUCKET: 'b', S3_PREFIX: '..' } });
  for (let n = 0; n < 3; n++)
    await expect(yard.import(bodyOf(csv(3)))).rejects.toMatchObject({ name: 'UploadError', code: 'import_failed' });
});

test('a store that fails is told as such', async () => {
  await using yard = await startImporter();
  await mkdir(join(yard.dataDir, 'store'), { recursive: true });
  await rm(join(yard.dataDir, 'store'), { recursive: true });
  await writeFile(join(yard.dataDir, 'store'), 'in the way');
  await expect(yard.import(bodyOf(csv(3)))).rejects.toMatchObject({ name: 'StoreError' });
});

test('closing ends an import that runs', async () => {
  const yard = await startImporter();
  const failed = expect(yard.import(openBody().body)).rejects.toThrow('stopping');
  await yard[Symbol.asyncDispose]();
  await failed;
});

test('a thread that has nothing to do keeps no process alive', async () => {
  const DATA_DIR = await makeTemporaryFolder('importer');
  try {
    const program = join(import.meta.dirname, 'stand-ins/import-and-end.ts');
    const { stdout } = await promisify(execFile)(process.execPath, [program], {
      env: { ...process.env, DATA_DIR },
      timeout: 25_000,
    });
    expect(stdout.trim()).toBe('1');
  } finally {
    await rm(DATA_DIR, { recursive: true, force: true });
  }
});
