import type { Clock } from '@renderyard/shared/clock';
import { draw, normal } from './draw.ts';

/** How long renders take, in milliseconds. */
export interface LatencyOptions {
  readonly medianMs: number;
  /** Nineteen of twenty renders take at most this long, and none ten times as long. Left out, all take the median. */
  readonly p95Ms?: number | undefined;
  /** What the first render of a cold model takes on top. */
  readonly coldStartMs: number;
  /** After this long without a call a model is cold again. */
  readonly coldAfterMs: number;
}

/** How many standard deviations the 95th percentile of a normal distribution is above its median. */
const P95_DEVIATIONS = 1.6449;
/** No render takes longer than this many times the 95th percentile: the tail of a lognormal has no end, timers have. */
const LONGEST_P95S = 10;

/**
 * Says how long each render takes: a fixed time, or a lognormal one drawn from the seed, the prompt and its turn.
 * @throws {RangeError} when the 95th percentile is below the median, or the median is 0: no lognormal is like that.
 */
export function createLatency(options: LatencyOptions & { readonly seed: number; readonly clock: Clock }) {
  const warmth = new Map<string, { warmAt: number; lastAt: number }>();
  const { medianMs, p95Ms = medianMs } = options;
  if (options.p95Ms !== undefined && (medianMs <= 0 || p95Ms < medianMs))
    throw new RangeError(
      `The 95th percentile of the latency (latencyP95Ms, SIMULATOR_LATENCY_P95_MS) must be at least its median (latencyMs, SIMULATOR_LATENCY_MS), and the median above 0, but they are ${p95Ms} and ${medianMs} ms.`,
    );
  const deviation = p95Ms === medianMs ? 0 : Math.log(p95Ms / medianMs) / P95_DEVIATIONS;

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
      if (deviation === 0) return waitMs + medianMs;
      const deviate = normal(
        draw(options.seed, 'latency', prompt, turn),
        draw(options.seed, 'latency 2', prompt, turn),
      );
      return waitMs + Math.min(medianMs * Math.exp(deviation * deviate), LONGEST_P95S * p95Ms);
    },
  };
}
