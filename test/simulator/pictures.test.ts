import { createCanvas, fillRow } from '@renderyard/simulator/image/canvas';
import { drawCaption } from '@renderyard/simulator/image/caption';
import { padImage } from '@renderyard/simulator/image/padding';
import { createPainter, type PictureInput } from '@renderyard/simulator/image/painter';
import { createWords } from '@renderyard/simulator/image/words';
import { IMAGE_FORMATS } from '@renderyard/simulator/parameters';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyText } from './any-text.ts';
import { decode } from './decode.ts';
import { REQUIRED, simulate } from './simulate.ts';

const painter = createPainter();
const input: PictureInput = {
  prompt: 'a lighthouse at dusk',
  seed: 7,
  variant: '',
  width: 96,
  height: 64,
  format: 'jpeg',
  quality: 90,
};

describe.each(IMAGE_FORMATS)('a %s', (format) => {
  test('has exactly the size that was asked for', async () => {
    const sizes = fc.record({ width: fc.integer({ min: 64, max: 300 }), height: fc.integer({ min: 64, max: 300 }) });
    await fc.assert(
      fc.asyncProperty(sizes, async (size) => {
        expect(await decode(await painter.paint({ ...input, ...size, format }))).toMatchObject({ ...size, format });
      }),
      { numRuns: 10 },
    );
  });

  test('is the same for the same input, also from another painter', async () => {
    const again = await createPainter().paint({ ...input, format });
    expect(again.equals(await painter.paint({ ...input, format }))).toBe(true);
  });

  test.each([
    ['seed', { seed: 8 }],
    ['prompt', { prompt: 'a lighthouse at dawn' }],
    ['variant', { variant: 'x' }],
  ])('is another for another %s', async (_name, change) => {
    const one = await decode(await painter.paint({ ...input, format }));
    const other = await decode(await painter.paint({ ...input, format, ...change }));
    expect(other.pixels.equals(one.pixels)).toBe(false);
  });

  test('keeps its pixels in a file padded to any size', async () => {
    const image = await painter.paint({ ...input, format });
    const { pixels } = await decode(image);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 300_000 }), async (extra) => {
        const padded = padImage(image, format, image.length + extra);
        // A JPEG segment has at least 4 bytes, a PNG chunk 12, a WebP chunk 8 and an even number.
        const least = { jpeg: 4, png: 12, webp: 8 }[format];
        const added = extra < least ? 0 : format === 'webp' ? extra - (extra % 2) : extra;
        expect(padded.length).toBe(image.length + added);
        expect((await decode(padded)).pixels.equals(pixels)).toBe(true);
      }),
      // A JPEG segment takes at most 65,537 bytes, and what is left over may be too little for another.
      { numRuns: 15, examples: [0, 3, 4, 11, 12, 65_537, 65_538, 65_540, 65_541, 131_076].map((extra) => [extra]) },
    );
  });
});

test.each(['jpeg', 'webp'] as const)('a %s of less quality has fewer bytes', async (format) => {
  const sizes = await Promise.all(
    [10, 50, 100].map(async (quality) => (await painter.paint({ ...input, format, quality })).length),
  );
  expect(sizes).toEqual(sizes.toSorted((a, b) => a - b));
  expect(new Set(sizes).size).toBe(3);
});

test('any prompt can be drawn: markup, quotes, emoji, control characters, lone surrogates, 1,400 characters', async () => {
  const prompts = [
    '<svg onload="x">&amp;</text>\'"`',
    'мир 世界 مرحبا नमस्ते 👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301',
    '\u0000\u0007\u001b[31m\r\n\t\u2028\ufeff\u200d',
    '\ud800 and \udc00',
    'word '.repeat(280),
    'x'.repeat(1400),
    '語'.repeat(1400),
    ' ',
  ];
  for (const prompt of prompts) {
    const image = await painter.paint({ ...input, prompt });
    expect(await decode(image), JSON.stringify(prompt.slice(0, 40))).toMatchObject({ width: 96, height: 64 });
  }
  await fc.assert(
    fc.asyncProperty(anyText(40), async (prompt) => {
      expect((await painter.paint({ ...input, prompt })).length).toBeGreaterThan(100);
    }),
    { numRuns: 15 },
  );
});

describe('the prompt on the picture', () => {
  /** What a caption makes of a grey canvas: rows and columns that have pure white, which is what prompts are written in. */
  const draw = async (
    prompt: string,
    width: number,
    height: number,
    facts = ['seed 98552302', `${width} x ${height}`],
  ) => {
    const canvas = createCanvas(width, height);
    for (let y = 0; y < height; y++) fillRow(canvas, y, [200, 200, 200]);
    await drawCaption(canvas, prompt, facts, createWords());
    const { data } = canvas;
    const white = (x: number, y: number) => data.readUIntBE((y * width + x) * 3, 3) === 0xffffff;
    const rows = Array.from({ length: height }, (_, y) => y).filter((y) =>
      Array.from({ length: width }, (_, x) => x).some((x) => white(x, y)),
    );
    const columns = Array.from({ length: width }, (_, x) => x).filter((x) => rows.some((y) => white(x, y)));
    return { data, rows, columns };
  };

  test('is at its foot, and is all that tells texts of one scene apart', async () => {
    const [one, other] = [await draw('first', 256, 256), await draw('other', 256, 256)];
    expect(one.data.equals(other.data)).toBe(false);
    const half = one.data.length / 2;
    expect(one.data.subarray(0, half).every((byte) => byte === 200)).toBe(true);
    const bright = (data: Buffer) => data.subarray(half).filter((byte) => byte === 255).length / 3;
    expect(bright(one.data)).toBeGreaterThan(40);
    expect(bright((await draw('a much longer text for it', 256, 256)).data)).toBeGreaterThan(3 * bright(one.data));
  });

  test.each([
    [64, 64],
    [2048, 64],
    [64, 2048],
    [2048, 2048],
    [1344, 768],
  ])('of %i x %i can be read, short or long, and stays within its margins', async (width, height) => {
    const margin = Math.max(2, Math.round(Math.min(width, height) / 64));
    for (const prompt of ['a cat', 'a cat on a mat '.repeat(60)]) {
      const { columns, rows } = await draw(prompt, width, height);
      expect(rows.length).toBeGreaterThanOrEqual(5);
      expect(columns.length).toBeGreaterThanOrEqual(12);
      expect(rows[0]).toBeGreaterThanOrEqual(Math.floor(height * 0.4));
      expect(columns[0]).toBe(margin);
      expect(columns.at(-1)).toBeLessThan(width - margin);
    }
  });

  test('has under it what fits of the facts, and nothing cut in two', async () => {
    const same = async (width: number, facts: readonly string[], shown: readonly string[]) =>
      (await draw('x', width, 64, [...facts])).data.equals((await draw('x', width, 64, [...shown])).data);
    expect(await same(64, ['seed 7', '64 x 64'], ['seed 7'])).toBe(true);
    expect(await same(64, ['seed 98552302', '64 x 64'], [])).toBe(true);
    expect(await same(200, ['seed 7', '200 x 64'], ['seed 7'])).toBe(false);
  });
});

test('an aspect ratio chooses the size, and width and height count only with custom', async () => {
  const { post } = await simulate();
  const sizeOf = async (body: object) => {
    const { width, height } = await decode(
      await (await post({ ...REQUIRED, prompt: 'x', base64: false, ...body })).bytes(),
    );
    return [width, height];
  };
  expect(await sizeOf({ aspect_ratio: '16:9', width: 64, height: 64 })).toEqual([1344, 768]);
  expect(await sizeOf({ aspect_ratio: '2:3' })).toEqual([832, 1216]);
  expect(await sizeOf({ aspect_ratio: 'custom', width: 100, height: 70 })).toEqual([100, 70]);
});

test('another simulator makes the same bytes from the same call', async () => {
  const [one, other] = [await simulate(), await simulate({ seed: 99 })];
  const images = await Promise.all([one, other].map(async ({ render }) => (await render('same', { seed: 5 })).bytes()));
  expect(images[0]).toEqual(images[1]);
});
