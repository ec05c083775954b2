import { type Nanocredits, nanocredits } from './amount.ts';

/** What of a request decides its cost, as far as is known: Segmind's cost grows with steps and pixels. */
export interface CostFactors {
  readonly model: string;
  readonly steps: number;
  readonly width: number;
  readonly height: number;
}

/** The request that `CREDIT_ESTIMATE` is stated for. */
const REFERENCE = { steps: 30, pixels: 1024 * 1024 };
/** How costs grow is not documented. A small image is never guessed at less than this share of the reference. */
const LEAST_SHARE = 0.25;

/**
 * The first guess at a call's cost, from `CREDIT_ESTIMATE` (credits), before any cost of its class was seen:
 * proportional to steps and pixels, and never under a quarter of the setting.
 */
export function estimateCost(factors: CostFactors, creditEstimate: number): Nanocredits {
  const share = (factors.steps / REFERENCE.steps) * ((factors.width * factors.height) / REFERENCE.pixels);
  return nanocredits(creditEstimate * Math.max(share, LEAST_SHARE));
}

/** Calls of one class are expected to cost alike, so what one has cost is learned for the next. */
export function costClass(factors: CostFactors): string {
  return `${factors.model}|${factors.steps}|${factors.width}x${factors.height}`;
}
