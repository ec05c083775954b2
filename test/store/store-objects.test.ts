import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { get, type IncomingMessage, request } from 'node:http';
import { basename } from 'node:path';
import { signLink } from '@renderyard/shared/store/signed-link';
import { describe, expect, it, vi } from 'vitest';
import { type DirectoryBench, openDirectoryBench, openFiles, SIGNING_KEY, untilClosed } from './directory-bench.ts';

const body = randomBytes(1000);

/** A store with one image, and its link. */
async function withImage(): Promise<{ bench: DirectoryBench; link: string }> {
  const bench = await openDirectoryBench();
  await bench.store.put('images/a.png', body, { contentType: 'image/png', metadata: { a: 'b' } });
  return { bench, link: await bench.store.link('images/a.png', { expiresInSeconds: 60 }) };
}

async function answerOf(bench: DirectoryBench, link: string, headers: Record<string, string> = {}, method = 'GET') {
  const answer = await bench.follow(link, { headers, method });
  return { status: answer.status, headers: answer.headers, bytes: Buffer.from(await answer.arrayBuffer()) };
}

/** Asks for a path exactly as it is given, which `fetch` would tidy up. */
async function statusOf(origin: string, path: string): Promise<number | undefined> {
  const { hostname, port } = new URL(origin);
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ hostname, port, path, agent: false }, resolve).once('error', reject).end();
  });
  answer.resume();
  return answer.statusCode;
}

describe('GET /store/{key}', () => {
  it('sends the object with all that a browser needs, and nothing that it could run', async () => {
    const { bench, link } = await withImage();
    await using _ = bench;
    const info = await bench.store.head('images/a.png');
    const { status, headers, bytes } = await answerOf(bench, link);
    expect(status).toBe(200);
    expect(bytes.equals(body)).toBe(true);
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-type': 'image/png',
      'content-length': '1000',
      'content-disposition': 'inline',
      etag: info?.etag,
      'last-modified': info?.modifiedAt.toUTCString(),
      'accept-ranges': 'bytes',
      'cache-control': 'private',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "sandbox; default-src 'none'",
    });
  });

  it('answers HEAD with the same headers and no body', async () => {
    const { bench, link } = await withImage();
    await using _ = bench;
    const saidOf = (headers: Headers) => [...headers].filter(([name]) => !/^(date|connection|keep-alive)$/.test(name));
    const whole = await answerOf(bench, link);
    const { status, headers, bytes } = await answerOf(bench, link, { range: 'bytes=1-2' }, 'HEAD');
    expect([status, bytes.length]).toEqual([200, 0]);
    expect(saidOf(headers)).toEqual(saidOf(whole.headers));
  });

  it('sends an empty object', async () => {
    const { bench } = await withImage();
    await using _ = bench;
    await bench.store.put('empty', Buffer.alloc(0), { contentType: 'text/plain' });
    const link = await bench.store.link('empty', { expiresInSeconds: 60 });
    const { status, headers, bytes } = await answerOf(bench, link);
    expect([status, headers.get('content-length'), bytes.length]).toEqual([200, '0', 0]);
    const ranged = await answerOf(bench, link, { range: 'bytes=0-' });
    expect([ranged.status, ranged.headers.get('content-range')]).toEqual([416, 'bytes */0']);
  });

  it.each([
    ['bytes=0-0', 0, 0],
    ['bytes=100-', 100, 999],
    ['bytes=990-99999', 990, 999],
    ['bytes=-10', 990, 999],
    ['bytes=-5000', 0, 999],
  ])('sends the range %s', async (range, start, end) => {
    const { bench, link } = await withImage();
    await using _ = bench;
    const { status, headers, bytes } = await answerOf(bench, link, { range });
    expect([status, headers.get('content-range')]).toEqual([206, `bytes ${start}-${end}/1000`]);
    expect(headers.get('content-length')).toBe(String(end - start + 1));
    expect(bytes.equals(body.subarray(start, end + 1))).toBe(true);
  });

  it.each(['bytes=1000-', 'bytes=5000-6000', 'bytes=-0'])('refuses the range %s', async (range) => {
    const { bench, link } = await withImage();
    await using _ = bench;
    const { status, headers } = await answerOf(bench, link, { range });
    expect([status, headers.get('content-range')]).toEqual([416, 'bytes */1000']);
  });

  it.each(['bytes=0-1,5-6', 'lines=1-2', 'bytes=5-4', 'bytes=-', 'bytes=a-b', 'bytes'])(
    'sends all for the range %s',
    async (range) => {
      const { bench, link } = await withImage();
      await using _ = bench;
      const { status, bytes } = await answerOf(bench, link, { range });
      expect([status, bytes.equals(body)]).toEqual([200, true]);
    },
  );

  it('sends nothing that the client has', async () => {
    const { bench, link } = await withImage();
    await using _ = bench;
    const etag = (await answerOf(bench, link)).headers.get('etag') ?? '';
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const { status, headers, bytes } = await answerOf(bench, link, { 'if-none-match': known });
      expect([status, headers.get('etag'), bytes.length]).toEqual([304, etag, 0]);
    }
    expect((await answerOf(bench, link, { 'if-none-match': '"other"' })).status).toBe(200);
  });

  it('sends a range only of the version that the client began with', async () => {
    const { bench, link } = await withImage();
    await using _ = bench;
    const etag = (await answerOf(bench, link)).headers.get('etag') ?? '';
    const range = 'bytes=5-9';
    expect((await answerOf(bench, link, { range, 'if-range': etag })).status).toBe(206);
    expect((await answerOf(bench, link, { range, 'if-range': '"other"' })).status).toBe(200);
  });

  it('says why a link is refused', async () => {
    const { bench, link } = await withImage();
    await using _ = bench;
    const codeOf = async (url: string) => {
      const { status, bytes } = await answerOf(bench, url);
      return [status, (JSON.parse(bytes.toString()) as { code: string }).code];
    };
    expect(await codeOf(link.replace('a.png', 'b.png'))).toEqual([403, 'bad_signature']);
    expect(await codeOf(link.replace(/\?.*/, ''))).toEqual([403, 'bad_signature']);
    expect(await codeOf(`${link}x`)).toEqual([403, 'bad_signature']);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 });
    try {
      expect(await codeOf(link)).toEqual([403, 'link_expired']);
    } finally {
      vi.useRealTimers();
    }
    await bench.store.delete(['images/a.png']);
    expect(await codeOf(link)).toEqual([404, 'not_found']);
  });

  it('gives out nothing but objects, even to links that were signed', async () => {
    const { bench, link } = await withImage();
    await using _ = bench;
    const outside = `${bench.directory}-outside.txt`;
    await writeFile(outside, 'x');
    try {
      const name = basename(outside);
      const keys = [
        `../${name}`,
        `images/../../${name}`,
        outside,
        '..',
        '',
        '.format.json',
        '.meta',
        'images',
        'images/',
      ];
      for (const key of [...keys, 'images//a.png', 'images/./a.png', 'images/..\\a.png', 'images/a.png\0']) {
        const query = signLink({ key, expires: 99_999_999_999 }, SIGNING_KEY);
        for (const path of [
          encodeURIComponent(key),
          encodeURI(key),
          key.replaceAll('.', '%2e').replaceAll('\0', '%00'),
        ]) {
          const status = await statusOf(bench.origin, `/store/${path}?${query}`);
          expect([path, status]).toEqual([path, expect.toBeOneOf([400, 403, 404])]);
        }
      }
    } finally {
      await rm(outside);
    }
    const { search } = new URL(link);
    for (const path of ['images/a.png', 'images%2Fa%2Epng'])
      expect(await statusOf(bench.origin, `/store/${path}${search}`)).toBe(200);
  });

  it('closes the file when the client goes away', async () => {
    const { bench } = await withImage();
    await using _ = bench;
    await bench.store.put('big', Buffer.alloc(64 * 2 ** 20), { contentType: 'x/y' });
    const link = await bench.store.link('big', { expiresInSeconds: 60 });
    const { pathname, search, port } = new URL(link.replace('http://renderyard.test', bench.origin));
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      get({ host: '127.0.0.1', port, path: pathname + search, agent: false }, resolve).once('error', reject);
    });
    answer.pause();
    expect(await openFiles(bench.directory)).toHaveLength(1);
    answer.destroy();
    await untilClosed(bench.directory);
  });
});
