import { createHash } from 'node:crypto';
import sharp from 'sharp';
import { createStream } from '../draw.ts';
import type { ImageFormat } from '../parameters.ts';
import { type Canvas, createCanvas } from './canvas.ts';
import { drawCaption } from './caption.ts';
import { padImage } from './padding.ts';
import { drawScene } from './scene.ts';
import { encodeSmallJpeg, MOST_PIXELS } from './small-jpeg.ts';
import { createWords } from './words.ts';

/** What a picture is made from: the same input gives the same bytes. */
export interface PictureInput {
  readonly prompt: string;
  readonly seed: number;
  /** Whatever else changes the scene: other parameters of the render, as one text. */
  readonly variant: string;
  /** Pixels, 64 to 2048. */
  readonly width: number;
  readonly height: number;
  readonly format: ImageFormat;
  /** 10 to 100; a PNG loses nothing at any quality. */
  readonly quality: number;
  /** The file is padded to this many bytes when it is smaller. */
  readonly atLeastBytes?: number | undefined;
}

export interface Painter {
  paint(input: PictureInput): Promise<Buffer>;
}

/** Pictures drawn at one time: an unpacked one takes up to 12 MiB, and more at once would not be faster. */
const AT_ONCE = 3;

async function encode(canvas: Canvas, { format, quality }: PictureInput): Promise<Buffer> {
  const { width, height, data } = canvas;
  if (format === 'jpeg' && width * height <= MOST_PIXELS) return encodeSmallJpeg(canvas, quality);
  const image = sharp(data, { raw: { width, height, channels: 3 } });
  if (format === 'png') return image.png({ compressionLevel: 2 }).toBuffer();
  if (format === 'webp') return image.webp({ quality, effort: 0 }).toBuffer();
  // Tables made for each picture would save a tenth of the bytes, and cost a third of the time.
  return image.jpeg({ quality, optimizeCoding: false }).toBuffer();
}

/** Draws pictures: a scene that depends on prompt, seed and variant, with the prompt written over its foot. */
export function createPainter(): Painter {
  // One thread a picture and no cache: calls run side by side, and no picture is wanted twice.
  sharp.concurrency(1);
  sharp.cache(false);
  const words = createWords();
  const waiting: (() => void)[] = [];
  let busy = 0;

  const paint = async (input: PictureInput): Promise<Buffer> => {
    const canvas = createCanvas(input.width, input.height);
    const digest = createHash('sha256')
      .update(JSON.stringify([input.prompt, input.seed, input.variant]))
      .digest();
    drawScene(canvas, createStream(digest.readUInt32BE(0)));
    await drawCaption(canvas, input.prompt, [`seed ${input.seed}`, `${input.width} x ${input.height}`], words);
    const image = await encode(canvas, input);
    return padImage(image, input.format, input.atLeastBytes ?? 0);
  };

  return {
    paint: async (input) => {
      if (busy >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
      else busy += 1;
      try {
        return await paint(input);
      } finally {
        // The place goes straight to the next one that waits, so `busy` stays as it is then.
        const next = waiting.shift();
        if (next === undefined) busy -= 1;
        else next();
      }
    },
  };
}
