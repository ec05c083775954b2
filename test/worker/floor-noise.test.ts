import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { nanocredits, parseCredits } from '@renderyard/shared/credits/amount';
import type { Redis } from '@renderyard/shared/redis/connect';
import { describe, expect, inject, test } from 'vitest';
import { createRig, type Rig } from '../support/rig.ts';

/** What one 64×64 image costs at the middle, in credits: the price of 1024×1024 by its share of the pixels. */
const SMALL = (0.0138 * (64 * 64)) / (1024 * 1024);
const FLOOR = nanocredits(1);
/** From so many last costs of a class the next is estimated. */
const REMEMBERED = 64;
/** The simulator's seeds, which decide what each image costs and how long it takes: NOISE_SEEDS=1,2,3 for others. */
const SEEDS = (process.env.NOISE_SEEDS ?? '1,2').split(',').map(Number);

/** A call as Redis wrote it down, and how it was settled. */
interface Seen {
  readonly job: string;
  readonly estimate: number;
}

/** A line that MONITOR writes for a command; its words are quoted as in C. */
const WORDS = /"(?:[^"\\]|\\.)*"/g;

/**
 * Follows what the scripts write, in the order in which Redis ran them: who was in flight when the last call was granted.
 * The client library takes lines of MONITOR that come at once with its answer for answers of its own, so it is read plain.
 */
async function watchGrants(redis: Redis, prefix: string) {
  const { hostname, port, password } = new URL(inject('redisUrl'));
  const socket = connect({ host: hostname, port: Number(port) });
  if (password !== '') socket.write(`AUTH ${decodeURIComponent(password)}\r\n`);
  socket.write('MONITOR\r\n');
  const flying = new Map<string, Seen>();
  const settled: string[] = [];
  const marks = new Map<string, () => void>();
  let atLastGrant: readonly Seen[] = [];
  createInterface({ input: socket }).on('line', (line) => {
    if (!line.includes(`"${prefix}calls"`) && !line.includes('"echo"')) return;
    const [command, key = '', call = '', text = ''] = (line.match(WORDS) ?? []).map((word) => String(JSON.parse(word)));
    if (command === 'echo') marks.get(key)?.();
    if (command === 'HDEL') {
      const ended = flying.get(call);
      if (ended !== undefined) settled.push(ended.job);
      flying.delete(call);
    }
    if (command === 'HSET' && !flying.has(call)) {
      flying.set(call, JSON.parse(text) as Seen);
      atLastGrant = [...flying.values()];
    }
  });
  const seen = async () => {
    const mark = crypto.randomUUID();
    const heard = new Promise<void>((resolve) => void marks.set(mark, resolve));
    await redis.echo(mark);
    await heard;
    return { atLastGrant, settled, inFlight: flying.size };
  };
  await once(socket, 'data');
  // What is granted from now on is seen.
  await seen();
  return { seen, [Symbol.asyncDispose]: async () => void socket.destroy() };
}

async function untilHeld(rig: Rig): Promise<void> {
  await rig.until('credits are held with nothing in flight', async () => {
    const { holds, inFlight } = await rig.ledger.snapshot(Date.now());
    return inFlight === 0 && holds.some(({ name }) => name === 'credits');
  });
}

describe('the floor, where costs vary by three tenths and the upstream stops nobody', () => {
  // Where a quarter of the cost was guessed, and answers are slow, credits for ten images could be given away several times
  // over before anything is learned; therefore the first call goes alone.
  const WAYS = [
    { images: 100, guess: '0.000216', latencyMs: 15, latencyP95Ms: 60 },
    { images: 10, guess: '0.00005', latencyMs: 1000, latencyP95Ms: 1000 },
  ];
  test.each(SEEDS.flatMap((seed) => WAYS.map((way) => ({ seed, ...way }))))(
    'leaves less above it than one image is expected to cost, and is broken by no more than calls in flight cost beyond that ($images images, seed $seed)',
    async ({ seed, images, guess, latencyMs, latencyP95Ms }) => {
      await using rig = await createRig({
        workers: 3,
        simulator: {
          balance: 1 + images * SMALL,
          priceNoise: 0.3,
          overdraft: true,
          latencyMs,
          latencyP95Ms,
          seed,
        },
        settings: {
          CREDIT_FLOOR: '1',
          CREDIT_ESTIMATE: guess,
          SEGMIND_CONCURRENCY: '24',
          WORKER_CONCURRENCY: '8',
          CREDIT_PROBE_MS: '60000',
        },
      });
      await using grants = await watchGrants(rig.redis, rig.prefix);
      const prompts = Array.from({ length: 160 }, (_, i) => `picture ${i}`);
      const ids = await rig.submit(prompts);
      await untilHeld(rig);

      const { atLastGrant, settled, inFlight } = await grants.seen();
      expect(inFlight).toBe(0);
      const { balance_exact } = await rig.upstream.state();
      const left = (parseCredits(balance_exact, 'down') ?? Number.NaN) - FLOOR;
      const costs = new Map(
        (await rig.upstream.wholeLedger()).map(({ prompt, cost_exact }) => [
          ids[prompts.indexOf(prompt)] ?? '',
          parseCredits(cost_exact, 'up') ?? Number.NaN,
        ]),
      );
      expect(settled.length).toBe(costs.size);
      const costOf = (job: string) => costs.get(job) ?? Number.NaN;
      const dearest = Math.max(...settled.slice(-REMEMBERED).map(costOf));
      const [next] = (await rig.ledger.snapshot(Date.now())).estimates.values();
      const beyond = atLastGrant.reduce((sum, { job, estimate }) => sum + Math.max(0, costOf(job) - estimate), 0);
      if (process.env.NOISE_SEEDS !== undefined)
        process.stdout.write(
          `${JSON.stringify({ seed, images, rendered: costs.size, left, next, dearest, inFlightThen: atLastGrant.length, beyond })}\n`,
        );

      expect(left).toBeLessThan(next ?? Number.NaN);
      expect(next).toBeLessThanOrEqual(dearest);
      expect(left).toBeGreaterThanOrEqual(-beyond);
      expect(costs.size).toBeLessThan(1.5 * images);
      expect((await rig.ledger.snapshot(Date.now())).balance).toBe(left + FLOOR);
    },
  );
});
