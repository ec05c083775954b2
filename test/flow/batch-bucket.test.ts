import { createHash } from 'node:crypto';
import { GetObjectCommand, paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { freshBucket } from '../support/bucket.ts';
import { startInstallation } from '../support/installation.ts';
import { startRedisInstance } from '../support/redis-instance.ts';

const ROWS = 60;
const CSV = `prompt\n${Array.from({ length: ROWS }, (_, i) => `picture ${i + 1} “ünïcödé” 🎉`).join('\n')}\n`;
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

test('a batch lies whole in the bucket, Redis emptied on the way or not, and another installation that is given the bucket knows it', async () => {
  const bucket = await freshBucket();
  const s3 = bucket.client();
  const read = async (key: string) => {
    const object = await s3.send(new GetObjectCommand({ Bucket: bucket.name, Key: key }));
    return (await object.Body?.transformToByteArray()) ?? new Uint8Array();
  };
  const keys = async () => {
    const found: string[] = [];
    for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket: bucket.name }))
      found.push(...(page.Contents ?? []).flatMap(({ Key }) => Key ?? []));
    return found;
  };

  await using redis = await startRedisInstance();
  let id = '';
  let results: unknown[] = [];
  {
    await using yard = await startInstallation({
      workers: 2,
      redisUrl: redis.url,
      simulator: { latencyMs: 200 },
      env: { ...bucket.env, SEGMIND_CONCURRENCY: '6' },
    });
    ({ id } = await yard.upload(CSV));
    await yard.until('some rows are done', async () => (await yard.batch(id)).counts.succeeded > 15);
    const client = new Redis(redis.url);
    await client.flushall();
    await client.quit();
    expect(await yard.batchEnded(id, 90_000)).toMatchObject({ status: 'completed', counts: { succeeded: ROWS } });
    expect((await yard.upstream.ledger()).billed_count).toBe(ROWS);

    const sums = Buffer.from(await read(`batches/${id}/SHA256SUMS.txt`)).toString('utf8');
    const lines = sums.trimEnd().split('\n');
    expect(lines.length).toBe(ROWS);
    const billed = new Set((await yard.upstream.wholeLedger()).map((entry) => entry.image_sha256));
    for (const line of lines) {
      const [sum = '', name = ''] = line.split('  ');
      expect(sha256(await read(`batches/${id}/${name}`))).toBe(sum);
      expect(billed.has(sum)).toBe(true);
    }
    const manifest = JSON.parse(Buffer.from(await read(`batches/${id}/manifest.json`)).toString('utf8')) as {
      status: string;
      rows: { key: string; sha256: string }[];
      results: { key: string; sha256: string }[];
    };
    expect(manifest.status).toBe('completed');
    for (const part of [...manifest.rows, ...manifest.results])
      expect(sha256(await read(part.key)), part.key).toBe(part.sha256);
    results = (await yard.results(id)).map(({ row, input, output }) => ({ row, input, sha256: output[0]?.sha256 }));
  }
  expect((await keys()).filter((key) => /^(open|uploads|uncertain)\//.test(key))).toEqual([]);

  await using other = await startInstallation({ workers: 1, env: bucket.env });
  await other.until('the batch is known', async () => (await other.call('GET', `/v1/batches/${id}`)).status === 200);
  expect(await other.batch(id)).toMatchObject({ status: 'completed', counts: { total: ROWS, succeeded: ROWS } });
  const again = (await other.results(id)).map(({ row, input, output }) => ({ row, input, sha256: output[0]?.sha256 }));
  expect(again).toEqual(results);
  expect((await other.upstream.ledger()).billed_count).toBe(0);
  s3.destroy();
}, 180_000);
