import { createHash } from 'node:crypto';

/**
 * An even draw from 0 (included) to 1 (not included) that depends on its inputs alone. Draws made this way repeat from
 * run to run even when calls arrive in another order, which a shared generator's would not.
 */
export function draw(seed: number, ...about: readonly (string | number)[]): number {
  const digest = createHash('sha256')
    .update(JSON.stringify([seed, ...about]))
    .digest();
  return digest.readUIntBE(0, 6) / 2 ** 48;
}

/** A normal deviate (mean 0, deviation 1) from two even draws, by Box and Muller. */
export function normal(first: number, second: number): number {
  return Math.sqrt(-2 * Math.log(1 - first)) * Math.cos(2 * Math.PI * second);
}

/** A stream of even draws from 0 to 1 for pictures, where speed matters more than quality: an xorshift of 32 bits. */
export function createStream(seed: number): () => number {
  let state = seed >>> 0 || 0x9e3779b9;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}
