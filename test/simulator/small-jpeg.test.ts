import { createCanvas } from '@renderyard/simulator/image/canvas';
import { encodeSmallJpeg } from '@renderyard/simulator/image/small-jpeg';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decode } from './decode.ts';

const sizes = { width: fc.integer({ min: 1, max: 128 }), height: fc.integer({ min: 1, max: 128 }) };
const furthest = (one: Uint8Array, other: Uint8Array) =>
  one.reduce((most, value, i) => Math.max(most, Math.abs(value - (other[i] ?? Number.NaN))), 0);

describe('a small JPEG', () => {
  test('of the highest quality has every pixel of a noise of greys, up to rounding', async () => {
    const noise = fc.record({ ...sizes, seed: fc.integer({ min: 1, max: 2 ** 31 - 1 }) });
    await fc.assert(
      fc.asyncProperty(noise, async ({ width, height, seed }) => {
        const canvas = createCanvas(width, height);
        let state = seed;
        for (let at = 0; at < canvas.data.length; at += 3) {
          state = (state * 48_271) % (2 ** 31 - 1);
          canvas.data.fill(state & 255, at, at + 3);
        }
        const { pixels, ...shape } = await decode(encodeSmallJpeg(canvas, 100));
        expect(shape).toEqual({ format: 'jpeg', width, height });
        expect(furthest(canvas.data, pixels)).toBeLessThanOrEqual(4);
      }),
      { numRuns: 30 },
    );
  });

  test('of any quality has the colour of a plain picture', async () => {
    const channel = fc.nat({ max: 255 });
    const plain = fc.record({ ...sizes, colour: fc.tuple(channel, channel, channel) });
    await fc.assert(
      fc.asyncProperty(plain, fc.integer({ min: 75, max: 100 }), async ({ width, height, colour }, quality) => {
        const canvas = createCanvas(width, height);
        for (const [i] of canvas.data.entries()) canvas.data[i] = colour[i % 3] ?? 0;
        const { pixels } = await decode(encodeSmallJpeg(canvas, quality));
        expect(furthest(canvas.data, pixels)).toBeLessThanOrEqual(6);
      }),
      { numRuns: 30 },
    );
  });

  test('of black beside white, the largest steps there are, can be decoded at each quality', async () => {
    const canvas = createCanvas(64, 64);
    for (let at = 0; at < canvas.data.length; at += 3)
      canvas.data.fill((at / 3 + Math.floor(at / 192)) % 2 === 0 ? 0 : 255, at, at + 3);
    for (let quality = 10; quality <= 100; quality += 10) {
      const { pixels } = await decode(encodeSmallJpeg(canvas, quality));
      expect(furthest(canvas.data, pixels)).toBeLessThan(128);
    }
  });
});
