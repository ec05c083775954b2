import { padImage } from '@renderyard/simulator/image/padding';
import { createPainter, type PictureInput } from '@renderyard/simulator/image/painter';
import { IMAGE_FORMATS } from '@renderyard/simulator/parameters';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyText } from './any-text.ts';
import { decode } from './decode.ts';
import { simulate } from './simulate.ts';

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

test('the prompt is written on the picture: texts of one scene differ only at its foot', async () => {
  const { drawCaption } = await import('@renderyard/simulator/image/caption');
  const { createCanvas, fillRow } = await import('@renderyard/simulator/image/canvas');
  const { createWords } = await import('@renderyard/simulator/image/words');
  const draw = async (prompt: string) => {
    const canvas = createCanvas(256, 256);
    for (let y = 0; y < 256; y++) fillRow(canvas, y, [200, 200, 200]);
    await drawCaption(canvas, prompt, 'seed 1', createWords());
    return canvas.data;
  };
  const [one, other] = [await draw('first'), await draw('other')];
  expect(one.equals(other)).toBe(false);
  const half = one.length / 2;
  expect(one.subarray(0, half).every((byte) => byte === 200)).toBe(true);
  const bright = (data: Buffer) => data.subarray(half).filter((byte) => byte === 255).length / 3;
  expect(bright(one)).toBeGreaterThan(40);
  expect(bright(await draw('a much longer text for it'))).toBeGreaterThan(3 * bright(one));
});

test('an aspect ratio chooses the size, and width and height count only with custom', async () => {
  const { post } = await simulate();
  const sizeOf = async (body: object) => {
    const { width, height } = await decode(await (await post({ prompt: 'x', base64: false, ...body })).bytes());
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
