/**
 * What a render costs. The upstream publishes one figure for this model, about 0.0138 credits an image, and says that
 * it grows with steps and size. The simulator takes that figure for 30 steps at 1024 x 1024, and grows it in proportion.
 */
const BASE_STEPS = 30n;
const BASE_PIXELS = 1024n * 1024n;
const NOISE_SCALE = 1_000_000_000;

/** What decides a price. */
export interface PricedRender {
  readonly steps: number;
  readonly width: number;
  readonly height: number;
  readonly batchSize: number;
}

/**
 * The cost in units of 1e-10 credits, at least one unit.
 * @param price units for one image of 30 steps and 1024 x 1024 pixels.
 * @param noise a factor near 1, so that costs are not all alike; 1 leaves the price as it is.
 */
export function costOf(render: PricedRender, price: bigint, noise = 1): bigint {
  const work = BigInt(render.steps) * BigInt(render.width) * BigInt(render.height);
  const factor = BigInt(Math.round(noise * NOISE_SCALE));
  const divisor = BASE_STEPS * BASE_PIXELS * BigInt(NOISE_SCALE);
  const image = (price * work * factor + divisor / 2n) / divisor;
  return (image > 0n ? image : 1n) * BigInt(render.batchSize);
}
