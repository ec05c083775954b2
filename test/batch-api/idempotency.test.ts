import { gzipSync } from 'node:zlib';
import { expect, test, vi } from 'vitest';
import { type BatchApi, CSV, form, openBatchApi } from './uploading.ts';

const keyed = (key: string) => ({ 'idempotency-key': key });
const under = (key: string, query: Readonly<Record<string, string>> = {}) => ({ headers: keyed(key), query });

/** Leaves the record of a key as a process does that dies before it keeps its answer. */
async function breakOff(api: BatchApi, key: string) {
  const name = `${api.prefix}idempotency:default:${key}`;
  await api.redis.multi().hdel(name, 'answer').hset(name, 'lease', 0).exec();
}
const batches = async (api: BatchApi) => (await api.get('/v1/batches')).json.data.map(({ id }: { id: string }) => id);

test('the same upload again gets the same answer, and no second batch', async () => {
  await using api = await openBatchApi();
  const first = await api.upload(CSV, under('a'));
  const objects = await api.keys();
  const again = await api.upload(CSV, under('a'));
  expect([again.status, again.json]).toEqual([202, first.json]);
  expect(first.headers.get('idempotency-replayed')).toBeNull();
  expect(again.headers.get('idempotency-replayed')).toBe('true');
  expect(again.headers.get('location')).toBe(first.headers.get('location'));
  expect(await api.keys()).toEqual(objects);
});

test('what wraps the same rows and options does not matter', async () => {
  await using api = await openBatchApi();
  const raw = await api.upload(CSV, under('raw'));
  expect(raw).toMatchObject({ status: 202, json: { object: 'batch' } });
  const zipped = await api.upload(gzipSync(CSV), { headers: { ...keyed('raw'), 'content-encoding': 'gzip' } });
  expect([zipped.status, zipped.json.id]).toEqual([202, raw.json.id]);
  const one = await api.upload(form(CSV, { name: 'n', budget: '2' }), under('form'));
  const two = await api.upload(form(gzipSync(CSV), { budget: '2.0', name: 'n' }, 'prompts.csv.gz'), under('form'));
  expect([two.status, two.json.id]).toEqual([202, one.json.id]);
  expect(two.headers.get('idempotency-replayed')).toBe('true');
});

test('how the same options are written does not matter, nor where they stand', async () => {
  await using api = await openBatchApi();
  const defaults = ['{"steps":20,"guidance_scale":4}', '{ "guidance_scale": 4, "steps": 20 }'] as const;
  const first = await api.upload(form(CSV, { name: 'n', defaults: defaults[0] }), under('a'));
  expect(first.status).toBe(202);
  for (const again of [
    await api.upload(form(CSV, { name: 'n' }), under('a', { defaults: defaults[1] })),
    await api.upload(CSV, under('a', { defaults: defaults[0], name: 'n', on_invalid: 'skip', dry_run: 'false' })),
  ]) {
    expect([again.status, again.json]).toEqual([202, first.json]);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
  }
  const plain = await api.make(CSV, under('b'));
  const type = { 'content-type': 'text/csv' };
  const bare = await api.call('POST', '/v1/batches?', { headers: { ...keyed('b'), ...type }, body: CSV });
  expect([bare.status, bare.json.id]).toEqual([202, plain.id]);
});

test('another upload under the same key is refused, and the first stays what it is', async () => {
  await using api = await openBatchApi();
  const first = await api.upload(form(CSV), under('a'));
  for (const other of [form(`${CSV}cat,A cat,\n`), form(CSV, { name: 'other' })])
    expect(await api.upload(other, under('a'))).toMatchObject({
      status: 422,
      json: { code: 'idempotency_key_reused' },
    });
  for (const query of [{ on_invalid: 'reject' }, { dry_run: 'true' }, { name: 'other' }])
    expect((await api.upload(form(CSV), under('a', query))).json.code).toBe('idempotency_key_reused');
  expect(await api.upload(form(CSV), under('a'))).toMatchObject({ status: 202, json: { id: first.json.id } });
  expect(await batches(api)).toEqual([first.json.id]);
});

test('a dry run is kept as one', async () => {
  await using api = await openBatchApi();
  const dry = await api.upload(CSV, under('a', { dry_run: 'true' }));
  const again = await api.upload(CSV, under('a', { dry_run: 'true' }));
  expect([again.status, again.json]).toEqual([200, dry.json]);
  expect(again.headers.get('idempotency-replayed')).toBe('true');
  expect((await api.upload(CSV, under('a'))).status).toBe(422);
});

test('while the first upload runs, the second is told to come back at once', async () => {
  await using api = await openBatchApi();
  const body = new TransformStream<Uint8Array, Uint8Array>();
  const writer = body.writable.getWriter();
  const first = fetch(`${api.url}/v1/batches`, {
    method: 'POST',
    headers: { 'content-type': 'text/csv', ...keyed('a') },
    body: body.readable,
    duplex: 'half',
  });
  await writer.write(Buffer.from(CSV));
  await vi.waitFor(async () => expect(await api.keys('uploads/')).toHaveLength(1), { timeout: 10_000 });
  const second = await api.upload(CSV, under('a'));
  expect([second.status, second.json.code]).toEqual([409, 'idempotency_key_in_use']);
  await writer.close();
  expect((await first).status).toBe(202);
  expect((await api.upload(CSV, under('a'))).headers.get('idempotency-replayed')).toBe('true');
  expect(await batches(api)).toHaveLength(1);
});

test('an upload that broke off before its batch was made is imported anew, under the same id', async () => {
  await using api = await openBatchApi();
  const first = await api.make(CSV, under('a'));
  const [old] = await api.keys(`batches/${first.id}/rows/`);
  await api.store.delete([`batches/${first.id}/batch.json`]);
  await api.redis.del(`${api.prefix}batch:${first.id}`);
  await breakOff(api, 'a');
  const again = await api.upload(CSV, under('a'));
  expect([again.status, again.json.id]).toEqual([202, first.id]);
  const rows = await api.keys(`batches/${first.id}/rows/`);
  expect(rows).toHaveLength(1);
  expect(rows).not.toEqual([old]);
  expect(await api.keys('uploads/')).toEqual([]);
  const record = await api.files.readRecord(first.id);
  expect(rows[0]).toContain(record?.upload);
  expect(record?.upload).not.toBe(old?.match(/-(\w+)\.ndjson/)?.[1]);
});

test('an upload that broke off after its batch was made is answered with it', async () => {
  await using api = await openBatchApi();
  const first = await api.make(CSV, under('a'));
  const objects = await api.keys();
  // Killed before Redis was told.
  await api.redis.del(`${api.prefix}batch:${first.id}`, `${api.prefix}feeding`, `${api.prefix}feeding:default`);
  await breakOff(api, 'a');
  expect(await api.upload(`${CSV}cat,A cat,\n`, under('a'))).toMatchObject({
    status: 422,
    json: { code: 'idempotency_key_reused' },
  });
  expect(await api.states.get(first.id)).toBeUndefined();
  const again = await api.upload(CSV, under('a'));
  expect([again.status, again.json.id]).toEqual([202, first.id]);
  expect(await api.states.get(first.id)).toMatchObject({ status: 'running', total: 2 });
  expect(await api.keys()).toEqual(objects);
});

test('a batch that has ended meanwhile does not run once more', async () => {
  await using api = await openBatchApi();
  const { id } = await api.make(CSV, under('a'));
  await api.end(id);
  await breakOff(api, 'a');
  expect(await api.upload(CSV, under('a'))).toMatchObject({ status: 202, json: { id, status: 'completed' } });
  await api.forget(id);
  await breakOff(api, 'a');
  expect(await api.upload(CSV, under('a'))).toMatchObject({ status: 202, json: { id, status: 'completed' } });
  expect(await api.states.get(id)).toBeUndefined();
});

test('what was refused can be corrected under the same key', async () => {
  await using api = await openBatchApi();
  expect((await api.upload('prompt,steps\nA fox,5\n', under('a'))).status).toBe(422);
  expect((await api.upload('prompt,steps\nA fox,15\n', under('a'))).status).toBe(202);
});
