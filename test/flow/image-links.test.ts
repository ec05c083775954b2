import { createHash, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { freshBucket } from '../support/bucket.ts';
import { startInstallation } from '../support/installation.ts';

test('with IMAGE_LINKS=api an image of a bucket is handed out by the API, to whoever has its link as it was signed', async () => {
  const { env } = await freshBucket();
  const SECRET_KEY = randomBytes(32).toString('base64');
  await using yard = await startInstallation({ env: { ...env, SECRET_KEY, IMAGE_LINKS: 'api' } });
  const [job] = await yard.ended(await yard.submit(['A fox']));
  const [image] = job?.output ?? [];
  const redirect = await fetch(`${yard.api.url}/v1/jobs/${job?.id}/image`, { redirect: 'manual' });
  expect(redirect.status).toBe(302);
  const link = new URL(redirect.headers.get('location') ?? '');
  expect([link.origin, link.pathname]).toEqual([yard.api.url, `/store/${image?.key}`]);

  const opened = await fetch(link);
  expect([opened.status, opened.headers.get('content-type')]).toEqual([200, 'image/jpeg']);
  expect(
    createHash('sha256')
      .update(await opened.bytes())
      .digest('hex'),
  ).toBe(image?.sha256);
  const part = await fetch(link, { headers: { range: 'bytes=2-5' } });
  expect([part.status, (await part.bytes()).length]).toEqual([206, 4]);

  const other = new URL(link);
  other.pathname = '/store/renderyard.json';
  const longer = new URL(link);
  longer.searchParams.set('expires', String(Number(link.searchParams.get('expires')) + 1));
  const bare = new URL(link.pathname, link);
  for (const changed of [other, longer, bare]) {
    const answer = await fetch(changed);
    await answer.body?.cancel();
    expect([changed.href, answer.status]).toEqual([changed.href, 403]);
  }
}, 90_000);
