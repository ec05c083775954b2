import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '@renderyard/shared/store/open-store';
import { toS3Error } from '@renderyard/shared/store/s3-error';
import { createS3Store, type S3StoreOptions } from '@renderyard/shared/store/s3-store';
import type { ObjectBody } from '@renderyard/shared/store/store';
import type { StoreError } from '@renderyard/shared/store/store-error';
import { describe, expect, inject, it } from 'vitest';
import { listAll, readAll } from './bench.ts';
import { openS3Bench, s3Options } from './s3-bench.ts';
import { type Fate, startS3Proxy } from './s3-proxy.ts';

const text = { contentType: 'text/plain' };

/** Expects every method that asks the server to fail like this, and returns the errors. */
async function expectEach(options: S3StoreOptions, expected: object): Promise<StoreError[]> {
  const store = createS3Store(options);
  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    put: () => store.put('a', Buffer.from('x'), text),
    create: () => store.put('a', Buffer.from('x'), { ...text, ifAbsent: true }),
    get: () => store.get('a'),
    head: () => store.head('a'),
    list: () => listAll(store, ''),
    delete: () => store.delete(['a']),
    check: () => store.check(),
  };
  const errors = await Promise.all(
    Object.entries(calls).map(async ([name, call]) => {
      const error: unknown = await call().catch((thrown: unknown) => thrown);
      expect({ name, error }).toEqual({ name, error: expect.objectContaining({ name: 'StoreError', ...expected }) });
      return error as StoreError;
    }),
  );
  await store.close();
  return errors;
}

/** A store behind a network in which requests of one method meet these fates, one after the other, and then pass. */
async function openBehindProxy(method: string, fates: readonly Fate[]) {
  let nth = 0;
  const proxy = await startS3Proxy(inject('s3').endpoint, (request) =>
    request.method === method ? (fates[nth++] ?? 'pass') : 'pass',
  );
  const bench = await openS3Bench({ endpoint: proxy.endpoint });
  return {
    store: bench.store,
    seen: proxy.seen,
    [Symbol.asyncDispose]: async () => {
      await bench[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

describe.concurrent('a store on S3', () => {
  it('says that a server is unavailable, within 5 s', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const { endpoint: _, ...rest } = s3Options(inject('s3'));
    const start = performance.now();
    const down = { ...rest, endpoint: `http://127.0.0.1:${port}`, bucket: 'b' };
    await expectEach(down, { kind: 'unavailable', retryable: true });
    expect(performance.now() - start).toBeLessThan(5000);
  });

  it('says that a secret is wrong, without the secret', async () => {
    await using bench = await openS3Bench();
    const secretAccessKey = 'not-the-secret-of-the-server';
    const options = s3Options(inject('s3'));
    const wrong = { ...options, credentials: { ...options.credentials, secretAccessKey } };
    const errors = await expectEach({ ...wrong, bucket: bench.name }, { kind: 'denied', retryable: false });
    for (const error of errors)
      expect(error.message).not.toMatch(new RegExp(`${secretAccessKey}|x-amz-signature=`, 'i'));
  });

  it('says that a bucket is missing, also where only an object could be', async () => {
    await expectEach(
      { ...s3Options(inject('s3')), bucket: 'no-such-bucket-here' },
      { kind: 'not_found_bucket', retryable: false },
    );
  });

  describe.each(['memory', 'a file'])('storing 3 MiB from %s', (from) => {
    const withBody = async (use: (body: ObjectBody, bytes: Buffer) => Promise<void>) => {
      const folder = await mkdtemp(join(tmpdir(), 'renderyard-body-'));
      try {
        const bytes = randomBytes(3 * 2 ** 20);
        const path = join(folder, 'body');
        await writeFile(path, bytes);
        await use(from === 'memory' ? bytes : { path, bytes: bytes.length }, bytes);
      } finally {
        await rm(folder, { recursive: true });
      }
    };

    it.each<readonly [Fate, Fate]>([
      ['fail', 'fail'],
      ['cut', 'fail'],
      ['lose', 'cut'],
    ])('survives that an attempt meets %s and the next %s', (...fates) =>
      withBody(async (body, bytes) => {
        await using bench = await openBehindProxy('PUT', fates);
        expect(await bench.store.put('a', body, text)).toBe('stored');
        expect(bench.seen).toEqual(['PUT', 'PUT', 'PUT']);
        expect((await readAll(bench.store, 'a')).equals(bytes)).toBe(true);
      }),
    );

    it('gives up after the third attempt', () =>
      withBody(async (body) => {
        await using bench = await openBehindProxy('PUT', ['fail', 'cut', 'fail']);
        await expect(bench.store.put('a', body, text)).rejects.toMatchObject({ kind: 'unavailable', retryable: true });
        expect(bench.seen).toEqual(['PUT', 'PUT', 'PUT']);
        expect(await bench.store.head('a')).toBeUndefined();
      }));
  });

  it('knows an object that it created, though the answer was lost', async () => {
    await using bench = await openBehindProxy('PUT', ['lose']);
    const create = () => bench.store.put('a', Buffer.from('same'), { ...text, metadata: { a: 'b' }, ifAbsent: true });
    expect(await create()).toBe('stored');
    expect(bench.seen).toEqual(['PUT', 'PUT', 'HEAD']);
    expect(await create()).toBe('exists');
    expect((await bench.store.head('a'))?.metadata).toEqual({ a: 'b' });
  });

  it('does not take an equal object of another call for its own', async () => {
    await using bench = await openBehindProxy('PUT', ['pass', 'fail', 'pass']);
    const create = () => bench.store.put('a', Buffer.from('same'), { ...text, ifAbsent: true });
    expect([await create(), await create()]).toEqual(['stored', 'exists']);
  });

  it.each(['GET', 'HEAD', 'POST'])('tries a %s again', async (method) => {
    await using bench = await openBehindProxy(method, ['fail', 'lose']);
    await bench.store.put('a', Buffer.from('x'), text);
    if (method === 'GET') expect((await readAll(bench.store, 'a')).toString()).toBe('x');
    if (method === 'HEAD') expect((await bench.store.head('a'))?.bytes).toBe(1);
    if (method === 'POST') await bench.store.delete(['a']);
    expect(bench.seen).toEqual(['PUT', method, method, method]);
  });

  it('ends as soon as the signal aborts, whatever the server does', async () => {
    await using bench = await openBehindProxy('PUT', ['hang']);
    const signal = AbortSignal.timeout(100);
    const error: unknown = await bench.store.put('a', Buffer.from('x'), { ...text, signal }).catch((thrown) => thrown);
    expect(error).toBe(signal.reason);
    expect(error).toMatchObject({ name: 'TimeoutError' });
  });

  it('refuses a server that ignores conditions', async () => {
    const server = createHttpServer((request, response) => request.resume().once('end', () => response.end()));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const store = createS3Store({ ...s3Options(inject('s3')), endpoint: `http://127.0.0.1:${port}`, bucket: 'b' });
    try {
      await expect(store.check()).rejects.toMatchObject({ kind: 'unsupported', retryable: false });
    } finally {
      await store.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it('signs links without a checksum, which some servers refuse', async () => {
    await using bench = await openS3Bench();
    const { searchParams } = new URL(await bench.store.link('a', { expiresInSeconds: 60, contentType: 'image/png' }));
    expect([...searchParams.keys()].filter((name) => /checksum/i.test(name))).toEqual([]);
  });

  it('keeps to its prefix', async () => {
    await using bench = await openS3Bench();
    const open = (prefix: string) => createS3Store({ ...s3Options(inject('s3')), bucket: bench.name, prefix });
    const outer = open('/kept/');
    const inner = open('kept/to');
    await inner.put('a', Buffer.from('x'), text);
    await outer.put('b', Buffer.from('x'), text);
    expect((await listAll(inner, '')).map(({ key }) => key)).toEqual(['a']);
    expect((await listAll(outer, '')).map(({ key }) => key)).toEqual(['b', 'to/a']);
    expect(() => open('a//b')).toThrow(/S3_PREFIX/);
    expect(() => open('x'.repeat(101))).toThrow(/S3_PREFIX/);
    await Promise.all([inner.close(), outer.close()]);
  });

  it.each([
    [{ name: 'SlowDown', $metadata: { httpStatusCode: 503 } }, 'unavailable'],
    [{ name: 'ConditionalRequestConflict', $metadata: { httpStatusCode: 409 } }, 'unavailable'],
    [{ name: 'RequestTimeTooSkewed', $metadata: { httpStatusCode: 403 } }, 'unavailable'],
    [{ name: 'QuotaExceeded', $metadata: { httpStatusCode: 403 } }, 'full'],
    [{ name: 'XMinioStorageFull', $metadata: { httpStatusCode: 507 } }, 'full'],
    [{ name: 'ExpiredToken', $metadata: { httpStatusCode: 400 } }, 'denied'],
    [{ name: 'CredentialsProviderError', message: 'Could not load credentials' }, 'denied'],
    [{ name: 'NotImplemented', $metadata: { httpStatusCode: 501 } }, 'unsupported'],
    [{ name: 'AuthorizationHeaderMalformed', $metadata: { httpStatusCode: 400 } }, 'invalid'],
    [{ name: 'Error', message: 'Region is missing' }, 'invalid'],
    [{ name: 'Error', code: 'ENOTFOUND' }, 'unavailable'],
    [{ name: 'SyntaxError', message: 'not XML', $metadata: { httpStatusCode: 200 } }, 'unavailable'],
  ])('takes %o for %s', (fields, kind) => {
    const cause = Object.assign(new Error('it failed'), fields);
    expect(toS3Error(cause, 'Storing a')).toMatchObject({
      kind,
      cause,
      message: expect.stringContaining('Storing a failed'),
    });
  });
});

describe('openStore', () => {
  const rest = {
    S3_PREFIX: undefined,
    S3_FORCE_PATH_STYLE: true,
    DATA_DIR: '/nowhere',
    publicUrl: '',
    signingKey: Buffer.alloc(32),
  };

  it('opens the bucket that is named, and a folder where none is', async () => {
    expect(openStore({ ...rest, S3_BUCKET: undefined }).kind).toBe('directory');
    const store = openStore({ ...rest, S3_BUCKET: 'b' });
    expect(store.kind).toBe('s3');
    await store.close();
  });
});
