import { mkdir } from 'node:fs/promises';
import { openStore } from '@renderyard/shared/store/open-store';
import { expect, test } from 'vitest';
import { IMAGE, openApi } from './running-api.ts';

test('the address of an image leads to a link that opens without a key', async () => {
  await using api = await openApi({ env: { RENDERYARD_API_KEYS: 'ann:a-secret-of-some-length' } });
  const key = { authorization: 'Bearer a-secret-of-some-length' };
  await mkdir(api.dataDir, { recursive: true });
  const store = openStore({ ...api.config, publicUrl: api.url, signingKey: new Uint8Array(32) });
  await store.put(IMAGE.key, Buffer.from('\x89PNG', 'latin1'), { contentType: 'image/png' });
  await store.close();
  const { id } = await api.submit({ prompt: 'A fox' }, key);
  await api.succeed(id);

  const { json } = await api.get(`/v1/jobs/${id}`, key);
  expect(json.output).toEqual([{ url: json.urls.image, ...IMAGE }]);
  const { status, headers } = await api.get(json.output[0].url, key);
  expect(status).toBe(302);
  expect(headers.get('cache-control')).toBe('no-store');
  const link = headers.get('location') ?? '';
  const expires = Number(new URL(link).searchParams.get('expires')) - Date.now() / 1000;
  expect(expires).toBeGreaterThan(890);
  expect(expires).toBeLessThanOrEqual(901);
  const image = await fetch(link);
  expect(image.status).toBe(200);
  expect(image.headers.get('content-type')).toBe('image/png');
  expect(image.headers.get('content-disposition')).toContain('picture.png');
  expect(Buffer.from(await image.arrayBuffer()).toString('latin1')).toBe('\x89PNG');

  expect(await api.get(link.replace('picture', 'other'))).toMatchObject({
    status: 403,
    json: { code: 'bad_signature' },
  });
  expect(await api.get(json.output[0].url)).toMatchObject({ status: 401 });
});

test('a job without an image says so: not yet, or never', async () => {
  await using api = await openApi();
  const { id, urls } = await api.submit();
  expect(await api.get(urls.image)).toMatchObject({ status: 409, json: { code: 'image_not_ready' } });
  await api.fail(id);
  expect(await api.get(urls.image)).toMatchObject({ status: 404, json: { code: 'no_image' } });
});
