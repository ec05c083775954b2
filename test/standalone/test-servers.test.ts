import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { Redis } from 'ioredis';
import { expect, inject, test } from 'vitest';
import { freshBucket } from '../support/bucket.ts';
import { startRedisInstance } from '../support/redis-instance.ts';

test('the shared Redis answers and keeps nothing on disk', async () => {
  const redis = new Redis(inject('redisUrl'));
  try {
    expect(await redis.ping()).toBe('PONG');
    expect(await redis.config('GET', 'appendonly')).toEqual(['appendonly', 'no']);
    expect(await redis.config('GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction']);
  } finally {
    await redis.quit();
  }
});

test('the S3 server keeps objects, refuses a wrong secret, and knows conditional writes', async () => {
  const bucket = await freshBucket();
  const client = bucket.client();
  try {
    const put = (body: string) =>
      client.send(new PutObjectCommand({ Bucket: bucket.name, Key: 'a', Body: body, IfNoneMatch: '*' }));
    await put('first');
    await expect(put('second')).rejects.toMatchObject({ $metadata: { httpStatusCode: 412 } });
    const got = await client.send(new GetObjectCommand({ Bucket: bucket.name, Key: 'a' }));
    expect(await got.Body?.transformToString()).toBe('first');
    const unsigned = await fetch(`${bucket.server.endpoint}/${bucket.name}/a`);
    expect(unsigned.status).toBe(403);
  } finally {
    client.destroy();
  }
});

test('a Redis of a test restarts on its port, with its data or without', async () => {
  for (const persistence of ['aof', 'none'] as const) {
    await using instance = await startRedisInstance({ persistence });
    const redis = new Redis(instance.url, { maxRetriesPerRequest: null });
    try {
      redis.on('error', () => undefined);
      await redis.set('a', '1');
      instance.kill('SIGKILL');
      expect((await instance.exited).signal).toBe('SIGKILL');
      await instance.restart();
      expect(await redis.get('a')).toBe(persistence === 'aof' ? '1' : null);
    } finally {
      redis.disconnect();
    }
  }
});
