import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { keyPrefix } from '@renderyard/shared/redis/keys';
import { eventId } from '@renderyard/shared/webhook/event-id';
import { Redis } from 'ioredis';
import { expect, inject, test } from 'vitest';
import { type Installation, startInstallation } from '../support/installation.ts';
import { type Listener, openListener } from '../webhook/listener.ts';

/** Workers killed: `WEBHOOK_KILLS=100 npx vitest run test/flow/webhook-kills` is the long run. */
const KILLS = Number(process.env.WEBHOOK_KILLS ?? 10);
const WORKERS = 2;
const JOBS_A_ROUND = 5;
/** Receivers take up to so long, in milliseconds, so that many a worker dies while it waits for an answer. */
const MOST_ANSWER_MS = 40;
/** Where nothing is seen for so long, a worker is killed all the same, in milliseconds. */
const PATIENCE_MS = 4000;
/** A lease lasts ten seconds longer. */
const TIMEOUT_MS = 2000;
const TELLS_ALL = ['job.succeeded', 'job.failed', 'job.canceled', 'job.expired'];

/** What is waited for before a kill: an event was put out, a delivery was taken, it has arrived, or nothing at all. */
const MOMENTS = ['told', 'taken', 'arrived', 'any'] as const;

/** A receiver, and which of an account's jobs it hears of. */
interface Ear extends Listener {
  readonly types: readonly string[];
  /** Only of those jobs that name it. */
  readonly own: boolean;
}

async function openEar(types: readonly string[], own: boolean): Promise<Ear> {
  const listener = await openListener((response) => {
    setTimeout(() => response.writeHead(204).end(), Math.random() * MOST_ANSWER_MS);
  });
  return { ...listener, types, own };
}

/** Submits the `n`-th job. @returns its id, and the receiver that it names. */
async function submit(yard: Installation, n: number, own: readonly Ear[]) {
  const ear = own[n % (own.length + 1)];
  const prompt = n % 5 === 1 ? `bad ${n}` : `picture ${n}`;
  const webhook = ear && { webhook: `${ear.url}/jobs/${n}`, webhook_events_filter: ear.types };
  const answer = await yard.call('POST', '/v1/jobs', { input: { width: 64, height: 64, prompt }, ...webhook });
  expect(answer.status).toBe(202);
  const { id } = (await answer.json()) as { readonly id: string };
  // Some are too late, and the job ends as it does.
  if (n % 5 === 2) await yard.call('POST', `/v1/jobs/${id}/cancel`);
  return { id, ear };
}

/** Resolves when something has happened since it was called, or after a time, and says whether it has. */
async function untilSeen(
  moment: (typeof MOMENTS)[number],
  of: { readonly redis: Redis; readonly prefix: string; readonly ears: readonly Ear[] },
): Promise<boolean> {
  if (moment === 'any') return sleep(Math.random() * 500, true);
  const count = async () =>
    moment === 'arrived'
      ? of.ears.reduce((sum, { arrivals }) => sum + arrivals.length, 0)
      : Number(await of.redis.get(`${of.prefix}${moment === 'told' ? 'told' : 'delivery-leases'}`));
  const before = await count();
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline) {
    if ((await count()) > before) return true;
    await sleep(1);
  }
  return false;
}

test('workers killed between the end of a job and its delivery: every receiver is told of every job that it asked for, each time in the same words, and nothing stays behind', async ({
  annotate,
}) => {
  const began = Date.now();
  const name = `flow-${randomBytes(8).toString('hex')}`;
  const prefix = keyPrefix(name);
  await using ears = await openEars();
  const own = ears.all.filter((ear) => ear.own);
  await using yard = await startInstallation({
    workers: WORKERS,
    simulator: { latencyMs: 20, latencyP95Ms: 60 },
    env: {
      REDIS_PREFIX: name,
      WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
      WEBHOOK_TIMEOUT_MS: String(TIMEOUT_MS),
      SEGMIND_CONCURRENCY: '32',
      UNCERTAIN_RETRIES: '20',
      RENDER_ATTEMPTS: '30',
    },
  });
  const redis = new Redis(inject('redisUrl'));
  await using _closed = { [Symbol.asyncDispose]: async () => redis.disconnect() };
  await yard.upstream.fault({ match: { prompt_contains: 'bad' }, effect: { kind: 'status', status: 422 } });
  for (const ear of ears.all.filter(({ own: isOwn }) => !isOwn)) {
    const made = await yard.call('POST', '/v1/webhooks', { url: `${ear.url}/all`, events: ear.types });
    expect(made.status).toBe(201);
  }

  const jobs: Awaited<ReturnType<typeof submit>>[] = [];
  const [seen, left] = [
    { told: 0, taken: 0, arrived: 0, any: 0 },
    { outbox: 0, taken: 0 },
  ];
  let kills = 0;
  for (let round = 0; kills < KILLS; round++) {
    const moment = MOMENTS[round % MOMENTS.length] ?? 'any';
    // Jobs that are canceled now end while nobody can deliver that: Redis has handed their events to the frozen.
    if (moment === 'told') for (const worker of yard.workers) worker.kill('SIGSTOP');
    const [found] = await Promise.all([
      untilSeen(moment, { redis, prefix, ears: ears.all }),
      ...Array.from({ length: JOBS_A_ROUND }, async (_, i) =>
        jobs.push(await submit(yard, round * JOBS_A_ROUND + i, own)),
      ),
    ]);
    // By turns there is another that goes on, and nobody.
    const victims = yard.workers.splice(0, Math.min(round % 2 === 0 ? WORKERS : 1, KILLS - kills));
    for (const worker of victims) worker.kill('SIGKILL');
    await Promise.all(victims.map(({ exited }) => exited));
    kills += victims.length;
    if (found) seen[moment] += victims.length;
    if (yard.workers.length === 0) {
      left.outbox += await redis.xlen(`${prefix}outbox`);
      left.taken += await redis.zcard(`${prefix}leases`);
    }
    await Promise.all(victims.map(() => yard.startWorker()));
  }
  const killed = Date.now();
  const ended = await yard.ended(
    jobs.map(({ id }) => id),
    120_000,
  );
  const allEnded = Date.now();
  const waiting = () =>
    Promise.all([
      redis.xlen(`${prefix}outbox`),
      redis.zcard(`${prefix}leases`),
      redis.zcard(`${prefix}dlvs:default:pending`),
    ]);
  await yard.until('nothing waits to be delivered', async () => (await waiting()).every((n) => n === 0), 60_000);
  const quiet = Date.now();

  // Who was to hear what. None of these jobs ran again after its end, so each has ended once.
  const wanted = ended.flatMap(({ id, status }, i) => {
    const type = `job.${status}`;
    const hear = ears.all.filter((ear) => ear.types.includes(type) && (!ear.own || jobs[i]?.ear === ear));
    return hear.map((ear) => ({ ear, id: eventId(id, type, 1), job: id, status }));
  });
  const bodies = new Map<string, string>();
  for (const { ear, id, job, status } of wanted) {
    const copies = ear.arrivals.filter((arrival) => arrival.id === id);
    expect(copies.length, `${job} is ${status}`).toBeGreaterThan(0);
    for (const { body } of copies) expect(body).toBe(bodies.get(id) ?? body);
    const [{ body = '' } = {}] = copies;
    bodies.set(id, body);
    expect(JSON.parse(body)).toMatchObject({ type: `job.${status}`, data: { id: job, status } });
  }
  for (const ear of ears.all) {
    const own = new Set(wanted.filter((one) => one.ear === ear).map(({ id }) => id));
    expect(own.size).toBeGreaterThan(0);
    expect(ear.arrivals.filter(({ id }) => !own.has(id))).toEqual([]);
  }
  expect(new Set(ended.map(({ status }) => status))).toEqual(new Set(['succeeded', 'failed', 'canceled']));
  const count = (status: string) => redis.zcard(`${prefix}dlvs:default:${status}`);
  expect([await count('succeeded'), await count('failed')]).toEqual([wanted.length, 0]);
  expect(await redis.zcard(`${prefix}owed`)).toBe(0);
  expect(await yard.call('GET', '/v1/deliveries?status=pending').then((answer) => answer.json())).toMatchObject({
    data: [],
  });

  const arrived = ears.all.reduce((sum, { arrivals }) => sum + arrivals.length, 0);
  await annotate(
    JSON.stringify({
      ...{ kills, seen, left, jobs: jobs.length, deliveries: wanted.length, duplicates: arrived - wanted.length },
      killing_s: (killed - began) / 1000,
      last_end_s: (allEnded - killed) / 1000,
      quiet_s: (quiet - allEnded) / 1000,
    }),
  );
}, 600_000);

async function openEars() {
  const all = await Promise.all([
    openEar(TELLS_ALL, false),
    openEar(['job.failed', 'job.canceled'], false),
    openEar(TELLS_ALL, true),
    openEar(['job.succeeded'], true),
  ]);
  return {
    all,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(all.map((ear) => ear[Symbol.asyncDispose]()));
    },
  };
}
