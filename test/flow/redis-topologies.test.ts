import { expect, test } from 'vitest';
import { type Installation, startInstallation } from '../support/installation.ts';
import { startCluster, startSentinelSet } from '../support/redis-topologies.ts';
import { openHttpReceiver } from '../webhook/http-receiver.ts';

const NAME = 'flow-topologies';
const OPTIONS = {
  simulator: { latencyMs: 200 },
  env: { REDIS_PREFIX: NAME, SEGMIND_CONCURRENCY: '4', LOCK_MS: '10000', WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' },
};
const JOBS = 24;

/** Submits jobs and returns in the middle of the run. */
async function startRun(yard: Installation): Promise<readonly string[]> {
  const ids = await yard.submit(Array.from({ length: JOBS }, (_, i) => `picture ${i}`));
  await yard.until('some are done', async () => (await yard.upstream.ledger()).billed_count > 5);
  return ids;
}

/** Asks for what needs Redis in its several ways: a script, reads, a transaction. */
async function expectUnavailable({ call }: Installation, job: string | undefined): Promise<void> {
  const begun = performance.now();
  const answers = await Promise.all([
    // Changes nothing should it come through: the job did not fail.
    call('POST', `/v1/jobs/${job}/retry`),
    call('GET', '/v1/jobs'),
    call('GET', '/v1/credits'),
    call('GET', '/health/ready'),
  ]);
  expect(answers.map(({ status }) => status)).toEqual([503, 503, 503, 503]);
  expect(performance.now() - begun).toBeLessThan(2300);
}

const untilServing = (yard: Installation) =>
  yard.until('the API has Redis again', async () => (await yard.call('GET', '/health/ready')).ok);

async function expectPaidOnce(yard: Installation, ids: readonly string[]): Promise<void> {
  const jobs = await yard.ended(ids);
  expect(jobs.every((job) => job.status === 'succeeded')).toBe(true);
  const { uncertain } = await yard.credits();
  expect((await yard.upstream.ledger()).billed_count).toBe(ids.length + uncertain.count);
}

/** Renders one more job and returns its id. That it ended is heard by a subscription: nobody asks before the time is over. */
async function renderAndHear(yard: Installation): Promise<string> {
  const begun = performance.now();
  const response = await fetch(new URL('/v1/jobs', yard.api.url), {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=60' },
    body: JSON.stringify({ input: { prompt: 'One more', width: 64, height: 64 } }),
  });
  const job = (await response.json()) as { readonly id: string; readonly status: string };
  const told = JSON.stringify({
    job,
    credits: await yard.credits(),
    logs: yard.workers.map(({ logs }) =>
      logs.filter(({ msg }) => msg !== 'upkeep failed and is tried again').slice(-80),
    ),
  });
  expect([response.status, job.status], told).toEqual([200, 'succeeded']);
  // A reader of the queue that ioredis lost sight of is replaced after 20 s.
  expect(performance.now() - begun).toBeLessThan(45_000);
  return job.id;
}

test('sentinels: the master dies in the middle of a run, and all goes on with the replica', async () => {
  await using redis = await startSentinelSet();
  await using yard = await startInstallation({ ...OPTIONS, redisUrl: redis.url });
  const ids = await startRun(yard);
  redis.master.kill('SIGKILL');
  await expectUnavailable(yard, ids[0]);
  await untilServing(yard);
  expect(await redis.masterPort()).toBe(redis.replica.port);
  const more = await renderAndHear(yard);
  await expectPaidOnce(yard, [...ids, more]);
  redis.sentinel.kill('SIGKILL');
  redis.replica.kill('SIGKILL');
  await expectUnavailable(yard, ids[0]);
  // Sentinels that come back, and a master without its memory: a worker that waits for Redis takes longer to stop.
  await Promise.all([redis.sentinel.restart(), redis.replica.restart()]);
  await untilServing(yard);
}, 120_000);

test('sentinels: a master that is silent, its connections open, is left for the replica', async () => {
  await using redis = await startSentinelSet();
  await using yard = await startInstallation({ ...OPTIONS, redisUrl: redis.url });
  const ids = await startRun(yard);
  redis.master.kill('SIGSTOP');
  await expectUnavailable(yard, ids[0]);
  await untilServing(yard);
  await expectPaidOnce(yard, ids);
}, 60_000);

test('cluster: a node dies in the middle of a run, then all of them, and what was acknowledged is rendered and told', async () => {
  await using redis = await startCluster(`{${NAME}}`);
  await using yard = await startInstallation({ ...OPTIONS, redisUrl: redis.url });
  await using receiver = await openHttpReceiver();
  await yard.call('POST', '/v1/webhooks', { url: receiver.url, events: ['job.succeeded'] });
  const ids = await startRun(yard);
  redis.owner.kill('SIGKILL');
  await expectUnavailable(yard, ids[0]);
  await untilServing(yard);
  expect(await redis.replicaOfOwner.client.role()).toContain('master');
  for (const node of redis.nodes) node.kill('SIGKILL');
  await expectUnavailable(yard, ids[0]);
  await Promise.all(redis.nodes.map((node) => node.restart()));
  await untilServing(yard);
  const more = await renderAndHear(yard);
  await expectPaidOnce(yard, [...ids, more]);
  await yard.until('all are told of', async () => receiver.ids.size === JOBS + 1);
}, 120_000);
