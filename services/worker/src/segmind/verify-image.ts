import type { ImageExtension } from '@renderyard/shared/job/stored-image';
import { imageSize } from 'image-size';

/** Whether the body ended as HTTP says it should, and by what that is known. */
export type Framing = 'length' | 'chunked' | 'close';

export type Verified =
  | {
      readonly ok: true;
      readonly contentType: string;
      readonly extension: string;
      readonly width: number;
      readonly height: number;
    }
  | { readonly ok: false; readonly problem: string };

/** The kinds of image that image-size recognises by their magic bytes, as stored. */
const KINDS: Readonly<Record<string, readonly [contentType: string, extension: ImageExtension]>> = {
  jpg: ['image/jpeg', 'jpg'],
  png: ['image/png', 'png'],
  webp: ['image/webp', 'webp'],
  gif: ['image/gif', 'gif'],
  avif: ['image/avif', 'avif'],
  heif: ['image/heif', 'heif'],
  tiff: ['image/tiff', 'tiff'],
  jxl: ['image/jxl', 'jxl'],
  bmp: ['image/bmp', 'bmp'],
};

const PNG_END = Buffer.from('0000000049454e44ae426082', 'hex');
const JPEG_END = Buffer.from('ffd9', 'hex');

/**
 * Decides by the bytes alone whether this is a whole image. The type is read from the magic bytes, never from a
 * header; the dimensions must be there; and the end must be: a JPEG's EOI marker (ITU-T T.81, B.2.1; it cannot occur
 * in entropy-coded data), a PNG's IEND chunk (W3C PNG, 11.2.5) or a WebP's RIFF length (RFC 9649, 2.3). It is looked
 * for in the last 4 KiB, because some encoders pad. A type whose end cannot be told must have come with its length.
 */
export function verifyImage(received: {
  readonly head: Uint8Array;
  readonly tail: Uint8Array;
  readonly bytes: number;
  readonly framing: Framing;
}): Verified {
  const { head, tail, bytes, framing } = received;
  let size: ReturnType<typeof imageSize>;
  try {
    size = imageSize(head);
  } catch {
    return { ok: false, problem: bytes === 0 ? 'the answer is empty' : 'the answer is not an image' };
  }
  const kind = size.type === undefined ? undefined : KINDS[size.type];
  if (kind === undefined) return { ok: false, problem: `the answer is of an unknown kind (${size.type})` };
  if (!(size.width > 0 && size.height > 0)) return { ok: false, problem: 'the image has no size' };
  if (!endsWhole(size.type ?? '', head, Buffer.from(tail.buffer, tail.byteOffset, tail.byteLength), bytes, framing)) {
    return { ok: false, problem: 'the image breaks off' };
  }
  return { ok: true, contentType: kind[0], extension: kind[1], width: size.width, height: size.height };
}

function endsWhole(type: string, head: Uint8Array, tail: Buffer, bytes: number, framing: Framing): boolean {
  switch (type) {
    case 'jpg':
      // A thumbnail among the metadata has an end of its own.
      return tail.includes(JPEG_END, Math.max(0, startOfScan(head) - (bytes - tail.length)));
    case 'png':
      return tail.includes(PNG_END);
    case 'webp':
      return bytes >= Buffer.from(head.buffer, head.byteOffset, head.byteLength).readUInt32LE(4) + 8;
    default:
      return framing !== 'close';
  }
}

/**
 * Where a JPEG's first scan begins, behind all its metadata, or how far it can be followed from segment to segment
 * (ITU-T T.81, B.1.1.2). In bytes from the beginning.
 */
function startOfScan(head: Uint8Array): number {
  let position = 2;
  while (head[position] === 0xff) {
    const kind = head[position + 1] ?? 0;
    if (kind === 0xda) break;
    if (kind === 0xff) position += 1;
    else position += 2 + (head[position + 2] ?? 0) * 256 + (head[position + 3] ?? 0);
  }
  return position;
}
