import { createHash, randomUUID } from 'node:crypto';
import type { Clock } from '@renderyard/shared/clock';
import { type Answer, errorAnswer, jsonAnswer, NOT_ACCEPTABLE, statusAnswer } from './answer.ts';
import { formatCredits } from './credits.ts';
import { draw } from './draw.ts';
import type { PickedFault } from './fault-book.ts';
import { applyFault, isBilled, keepsImage } from './fault-effects.ts';
import type { Painter } from './image/painter.ts';
import { type RenderParameters, readParameters, sizeOf } from './parameters.ts';
import { pictureOf } from './picture.ts';
import { costOf } from './pricing.ts';
import type { CallRecord, LedgerRecord } from './records.ts';
import { type Exchange, transmit } from './transmit.ts';
import type { World } from './world.ts';

/** Seeds drawn for `-1` lie from 0 to one less than this. */
const RANDOM_SEEDS = 2 ** 31;

export interface RenderCallOptions {
  readonly clock: Clock;
  readonly painter: Painter;
}

/** One call to be rendered, and where it stands in the log of calls. */
export interface RenderCall {
  readonly exchange: Exchange;
  readonly record: CallRecord;
  readonly slug: string;
}

/** Everything about a render that is settled before it begins. */
interface Job {
  readonly parameters: RenderParameters;
  readonly seed: number;
  readonly cost: bigint;
  readonly latencyMs: number;
  readonly requestId: string;
}

function parse(body: Buffer): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)) };
  } catch {
    return undefined;
  }
}

/** What is wrong with a call before its parameters are looked at. */
function refuse(world: World, { exchange, slug }: RenderCall): Answer | undefined {
  const { headers } = exchange.request;
  const key = headers['x-api-key'];
  if (typeof key !== 'string' || !world.keys.works(key)) return statusAnswer(401);
  const model = world.models.find(slug);
  if (model !== 'known') return statusAnswer(model === 'retired' ? 410 : 404);
  if (!world.keys.allows(key, slug)) return statusAnswer(403);
  const [type = ''] = (headers['content-type'] ?? '').split(';');
  if (type.trim().toLowerCase() !== 'application/json') return errorAnswer(406, NOT_ACCEPTABLE.content_type);
  if (!world.rateLimit.take())
    return {
      ...statusAnswer(429),
      headers: [
        ...statusAnswer(429).headers,
        ['x-rate-limit-reset-at-utc', new Date(world.rateLimit.resetsAt()).toISOString()],
      ],
    };
  return undefined;
}

/** Renders and bills as the upstream's v1 does, in the order that money depends on. */
export function createRenderCall({ clock, painter }: RenderCallOptions) {
  const plan = (world: World, slug: string, parameters: RenderParameters, turn: number): Job => {
    const { prompt } = parameters;
    const [width, height] = sizeOf(parameters);
    const noise = world.priceNoise === 0 ? 1 : 1 + world.priceNoise * (2 * draw(world.seed, 'price', prompt, turn) - 1);
    const work = { steps: parameters.steps, width, height, batchSize: parameters.batch_size };
    return {
      parameters,
      seed:
        parameters.seed === -1 ? Math.floor(draw(world.seed, 'seed', prompt, turn) * RANDOM_SEEDS) : parameters.seed,
      cost: costOf(work, world.price, noise),
      latencyMs: world.latency.of(slug, prompt, turn),
      requestId: randomUUID(),
    };
  };

  /** Sends an answer that no render stands behind. */
  const send = async (world: World, call: RenderCall, normal: Answer, fault?: PickedFault) => {
    const { answer, manner } = applyFault(fault?.effect, normal, clock.now());
    call.record.status = manner.kind === 'hang' || manner.kind === 'reset' ? null : answer.status;
    const wait = (fault?.effect.delay_ms ?? 0) + (fault?.effect.delay_after_billing_ms ?? 0);
    if (wait > 0) await clock.sleep(wait, world.ended);
    if (world.ended.aborted) return;
    call.record.end = await transmit(call.exchange, answer, manner);
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
      parameters: job.parameters,
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
    const { answer, manner } = applyFault(fault?.effect, normal, clock.now());
    const hold = fault?.effect.delay_after_billing_ms ?? 0;
    if (hold > 0) await clock.sleep(hold, world.ended);
    call.record.status = manner.kind === 'hang' || manner.kind === 'reset' ? null : answer.status;
    call.record.end = world.ended.aborted ? 'stopped' : await transmit(call.exchange, answer, manner);
    const { end } = call.record;
    entry.end = end === 'whole' && !keepsImage(fault?.effect) ? 'replaced' : end;
  };

  /** Answers a POST to a model, from its checks to the last byte. */
  return async (world: World, call: RenderCall): Promise<void> => {
    const refusal = refuse(world, call);
    if (refusal !== undefined) return send(world, call, refusal);
    const body = parse(call.record.body);
    if (body === undefined) return send(world, call, errorAnswer(400, 'The body is not valid JSON in UTF-8.'));
    const read = readParameters(body.value);
    if ('refusal' in read) return send(world, call, errorAnswer(read.refusal.status, read.refusal.message));
    const { prompt } = read.parameters;
    const turn = world.turnOf(prompt);
    const job = plan(world, call.slug, read.parameters, turn);
    call.record.requestId = job.requestId;
    const committed = world.billed.total + world.account.held();
    if (world.spendLimit !== undefined && committed + job.cost > world.spendLimit)
      return send(world, call, errorAnswer(406, NOT_ACCEPTABLE.spend_limit));
    if (!world.account.hold(job.cost)) return send(world, call, errorAnswer(406, NOT_ACCEPTABLE.credits));
    world.ordinals.render += 1;
    const fault = world.faults.pick({
      endpoint: 'render',
      slug: call.slug,
      prompt,
      ordinal: world.ordinals.render,
      turn,
    });
    call.record.fault = fault?.rule ?? null;
    if (fault !== undefined && !isBilled(fault.effect)) {
      world.account.release(job.cost);
      return send(world, call, statusAnswer(500), fault);
    }
    return render(world, call, job, fault);
  };
}
