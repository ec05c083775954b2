import type { Clock } from '@renderyard/shared/clock';
import { draw, normal } from './draw.ts';

/** How long renders take, in milliseconds. */
export interface LatencyOptions {
  readonly medianMs: number;
  /** Nineteen of twenty renders take at most this long. Left out, every render takes the median. */
  readonly p95Ms?: number | undefined;
  /** What the first render of a cold model takes on top. */
  readonly coldStartMs: number;
  /** After this long without a call a model is cold again. */
  readonly coldAfterMs: number;
}

/** How many standard deviations the 95th percentile of a normal distribution is above its median. */
const P95_DEVIATIONS = 1.6449;
/** No render takes longer than this many medians: the tail of a lognormal has no end. */
const LONGEST_MEDIANS = 20;

/** Says how long each render takes: a fixed time, or a lognormal one drawn from the seed, the prompt and its turn. */
export function createLatency(options: LatencyOptions & { readonly seed: number; readonly clock: Clock }) {
  const warmth = new Map<string, { warmAt: number; lastAt: number }>();
  const deviation =
    options.p95Ms === undefined || options.medianMs === 0
      ? 0
      : Math.log(Math.max(1, options.p95Ms / options.medianMs)) / P95_DEVIATIONS;

  const coldMs = (slug: string): number => {
    if (options.coldStartMs === 0) return 0;
    const now = options.clock.now();
    const seen = warmth.get(slug);
    const cold = seen === undefined || now - seen.lastAt > options.coldAfterMs;
    const warmAt = cold ? now + options.coldStartMs : seen.warmAt;
    warmth.set(slug, { warmAt, lastAt: Math.max(now, warmAt) });
    return Math.max(0, warmAt - now);
  };

  return {
    /** Milliseconds that this render takes, the wait for a cold model included. */
    of: (slug: string, prompt: string, turn: number): number => {
      const waitMs = coldMs(slug);
      if (deviation === 0) return waitMs + options.medianMs;
      const deviate = normal(
        draw(options.seed, 'latency', prompt, turn),
        draw(options.seed, 'latency 2', prompt, turn),
      );
      const factor = Math.min(Math.exp(deviation * deviate), LONGEST_MEDIANS);
      return waitMs + options.medianMs * factor;
    },
  };
}
