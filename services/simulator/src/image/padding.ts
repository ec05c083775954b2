import { crc32 } from 'node:zlib';
import type { ImageFormat } from '../parameters.ts';

/** Comment segments of a JPEG (ITU-T T.81, B.2.4.5): marker FFFE and a length of two bytes that counts itself. */
function padJpeg(image: Buffer, extra: number): Buffer[] {
  const segments: Buffer[] = [];
  for (let left = extra; left >= 4; ) {
    let size = Math.min(left, 0xffff + 2);
    // A rest of one to three bytes is too small for a segment of its own.
    if (left - size > 0 && left - size < 4) size -= 4;
    const segment = Buffer.alloc(size, 0x20);
    segment.writeUInt16BE(0xfffe, 0);
    segment.writeUInt16BE(size - 2, 2);
    segments.push(segment);
    left -= size;
  }
  return [image.subarray(0, 2), ...segments, image.subarray(2)];
}

/** A private ancillary chunk of a PNG (ISO/IEC 15948, 5.3) before its last chunk, which has twelve bytes. */
function padPng(image: Buffer, extra: number): Buffer[] {
  if (extra < 12) return [image];
  const chunk = Buffer.alloc(extra, 0x20);
  chunk.writeUInt32BE(extra - 12, 0);
  chunk.write('paDd', 4, 'latin1');
  chunk.writeUInt32BE(crc32(chunk.subarray(4, extra - 4)), extra - 4);
  return [image.subarray(0, image.length - 12), chunk, image.subarray(image.length - 12)];
}

/** An unknown chunk at the end of a WebP's RIFF container (RFC 9649, 2.3); sizes in it are even. */
function padWebp(image: Buffer, extra: number): Buffer[] {
  const even = extra - (extra % 2);
  if (even < 8) return [image];
  const chunk = Buffer.alloc(even, 0x20);
  chunk.write('PADD', 0, 'latin1');
  chunk.writeUInt32LE(even - 8, 4);
  const head = Buffer.from(image.subarray(0, 8));
  head.writeUInt32LE(image.length - 8 + even, 4);
  return [head, image.subarray(8), chunk];
}

/**
 * The same picture in a larger file: `bytes` long where the format allows it (a WebP has an even length, and a few bytes
 * more than the picture has are too few to add). A picture that is large enough already is returned as it is.
 */
export function padImage(image: Buffer, format: ImageFormat, bytes: number): Buffer {
  const extra = bytes - image.length;
  if (extra <= 0) return image;
  return Buffer.concat({ jpeg: padJpeg, png: padPng, webp: padWebp }[format](image, extra));
}
