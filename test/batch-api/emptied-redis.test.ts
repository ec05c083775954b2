import { expect, test } from 'vitest';
import { startRedisInstance } from '../support/redis-instance.ts';
import { openBatchApi } from './uploading.ts';

test('right after Redis was emptied nothing is told of what it held', async () => {
  await using redis = await startRedisInstance();
  await using api = await openBatchApi({ redisUrl: redis.url });
  const { id } = await api.make();
  await api.submit();
  const batch = `/v1/batches/${id}`;
  const paths = [
    ...[batch, '/v1/batches', `${batch}/rows`, `/v1/jobs/job_${id.slice(4)}_1`, '/v1/jobs', '/v1/credits'],
    ...[`${batch}/results.csv`, `${batch}/results.ndjson`, `${batch}/images.zip`],
  ];
  for (const path of paths) expect((await fetch(`${api.url}${path}`)).status, path).toBe(200);
  await api.redis.flushall();
  // All at once, before the process has looked for itself.
  const answers = await Promise.all(paths.map((path) => fetch(`${api.url}${path}`)));
  for (const [index, answer] of answers.entries()) {
    expect(answer.status, paths[index]).toBe(503);
    expect(await answer.json()).toMatchObject({ code: 'redis_replaced' });
  }
});

test('what does not come from Redis is told without it', async () => {
  await using redis = await startRedisInstance();
  await using api = await openBatchApi({ redisUrl: redis.url });
  redis.kill('SIGKILL');
  await redis.exited;
  expect((await api.get('/v1/models')).status).toBe(200);
});

test('that nothing can be retried is not said of a batch whose failures Redis has just lost', async () => {
  await using redis = await startRedisInstance();
  await using api = await openBatchApi({ redisUrl: redis.url });
  const { id } = await api.make();
  await api.redis.hset(`${api.prefix}batch:${id}`, { failed: 1, cursor: 1 });
  await api.redis.setbit(`${api.prefix}bits:${id}:failed`, 0, 1);
  await api.redis.flushall();
  const { status, json } = await api.post(`/v1/batches/${id}/retry`);
  expect([status, json.code]).toEqual([503, 'redis_replaced']);
});
