import { createHash, randomUUID } from 'node:crypto';
import type { Clock } from '@renderyard/shared/clock';
import { admit, type RenderCall } from './admission.ts';
import { type Answer, errorAnswer, jsonAnswer, NOT_ACCEPTABLE, statusAnswer } from './answer.ts';
import { formatCredits } from './credits.ts';
import { deliver, waitOf } from './deliver.ts';
import { draw } from './draw.ts';
import type { PickedFault } from './fault-book.ts';
import { isBilled, keepsImage } from './fault-effects.ts';
import type { Painter } from './image/painter.ts';
import { type RenderParameters, sizeOf } from './parameters.ts';
import { pictureOf } from './picture.ts';
import { costOf } from './pricing.ts';
import type { LedgerRecord } from './records.ts';
import type { World } from './world.ts';

/** Seeds drawn for `-1` lie from 0 to one less than this. */
const RANDOM_SEEDS = 2 ** 31;

export interface RenderCallOptions {
  readonly clock: Clock;
  readonly painter: Painter;
}

/** What one render will cost, which is settled before anything else. */
interface Quote {
  readonly parameters: RenderParameters;
  /** The how-manieth call with this prompt it is, from 1, if it can be paid. */
  readonly turn: number;
  readonly cost: bigint;
}

/** Everything about a render that is settled before it begins. */
interface Job extends Quote {
  readonly seed: number;
  readonly latencyMs: number;
  readonly requestId: string;
}

/** Renders and bills as the upstream's v1 does, in the order that money depends on. */
export function createRenderCall({ clock, painter }: RenderCallOptions) {
  const quote = (world: World, parameters: RenderParameters): Quote => {
    const { batch_size, prompt, steps } = parameters;
    const turn = world.turns.count(prompt) + 1;
    const [width, height] = sizeOf(parameters);
    const noise = world.priceNoise === 0 ? 1 : 1 + world.priceNoise * (2 * draw(world.seed, 'price', prompt, turn) - 1);
    return { parameters, turn, cost: costOf({ steps, width, height, batchSize: batch_size }, world.price, noise) };
  };

  /** Why a sound call is not rendered; otherwise its cost is held. A call that is refused changes nothing. */
  const hold = (world: World, cost: bigint): Answer | undefined => {
    const committed = world.billed.total + world.account.snapshot().held;
    if (world.spendLimit !== undefined && committed + cost > world.spendLimit)
      return errorAnswer(406, NOT_ACCEPTABLE.spend_limit);
    return world.account.hold(cost) ? undefined : errorAnswer(406, NOT_ACCEPTABLE.credits);
  };

  /** Counts the call, and warms its model. */
  const begin = (world: World, slug: string, quoted: Quote): Job => {
    const { prompt, seed } = quoted.parameters;
    const turn = world.turns.add(prompt);
    world.ordinals.render += 1;
    return {
      ...quoted,
      seed: seed === -1 ? Math.floor(draw(world.seed, 'seed', prompt, turn) * RANDOM_SEEDS) : seed,
      latencyMs: world.latency.of(slug, prompt, turn),
      requestId: randomUUID(),
    };
  };

  const bill = (
    world: World,
    call: RenderCall,
    job: Job,
    image: Buffer,
    fault: PickedFault | undefined,
  ): LedgerRecord => {
    const balanceAfter = world.account.debit(job.cost);
    world.billed.count += 1;
    world.billed.total += job.cost;
    const [width, height] = sizeOf(job.parameters);
    return world.ledger.push((seq) => ({
      seq,
      at: clock.now(),
      requestId: job.requestId,
      call: call.record.seq,
      slug: call.slug,
      body: call.record.body,
      seed: job.seed,
      width,
      height,
      cost: job.cost,
      balanceAfter,
      image: {
        sha256: createHash('sha256').update(image).digest('hex'),
        bytes: image.length,
        atLeastBytes: fault?.effect.kind === 'oversize' ? fault.effect.bytes : undefined,
      },
      fault: fault?.rule ?? null,
      end: 'pending',
    }));
  };

  const imageAnswer = (world: World, job: Job, image: Buffer, balanceAfter: bigint, tookMs: number): Answer => {
    const { parameters } = job;
    const plain: Answer = parameters.base64
      ? jsonAnswer(200, `{"image":"${image.toString('base64')}"}`)
      : { status: 200, headers: [['content-type', `image/${parameters.image_format}`]], body: image };
    return {
      ...plain,
      headers: [
        ...plain.headers,
        ['x-remaining-credits', formatCredits(balanceAfter)],
        ['x-cost', formatCredits(job.cost)],
        ['x-generation-time', (tookMs / 1000).toFixed(3)],
        ['x-request-id', job.requestId],
        ['x-seed-value', String(job.seed)],
        ['x-rate-limit-reset-at-utc', new Date(world.rateLimit.resetsAt()).toISOString()],
      ],
    };
  };

  const render = async (world: World, call: RenderCall, job: Job, fault: PickedFault | undefined) => {
    const begunAt = clock.now();
    const wait = job.latencyMs + (fault?.effect.delay_ms ?? 0);
    if (wait > 0) await clock.sleep(wait, world.ended);
    if (world.ended.aborted) return;
    const oversize = fault?.effect.kind === 'oversize' ? fault.effect.bytes : undefined;
    let image: Buffer;
    try {
      image = await painter.paint(pictureOf(job.parameters, job.seed, oversize));
    } catch (error) {
      world.account.release(job.cost);
      throw error;
    }
    if (world.ended.aborted) return;
    // From here on the render is paid for, whether or not anybody is left to take it.
    const entry = bill(world, call, job, image, fault);
    const normal = imageAnswer(world, job, image, entry.balanceAfter, clock.now() - begunAt);
    // Until the image is handed over, a whole answer can only be one in its place, such as the 500 of a failure here.
    let handedOver = false;
    call.settle = (end) => {
      entry.end = end === 'whole' && !handedOver ? 'replaced' : end;
    };
    await deliver({ world, clock }, call, normal, fault, fault?.effect.delay_after_billing_ms);
    handedOver = keepsImage(fault?.effect);
  };

  /** Answers a POST to a model, from its checks to the last byte. */
  return async (world: World, call: RenderCall): Promise<void> => {
    const admitted = admit(world, call);
    if ('refusal' in admitted) return deliver({ world, clock }, call, admitted.refusal);
    const quoted = quote(world, admitted.parameters);
    const refusal = hold(world, quoted.cost);
    if (refusal !== undefined) return deliver({ world, clock }, call, refusal);
    const job = begin(world, call.slug, quoted);
    call.record.requestId = job.requestId;
    const fault = world.faults.pick({
      endpoint: 'render',
      slug: call.slug,
      prompt: job.parameters.prompt,
      ordinal: world.ordinals.render,
      turn: job.turn,
    });
    call.record.fault = fault?.rule ?? null;
    if (fault !== undefined && !isBilled(fault.effect)) {
      world.account.release(job.cost);
      return deliver({ world, clock }, call, statusAnswer(500), fault, waitOf(fault));
    }
    return render(world, call, job, fault);
  };
}
