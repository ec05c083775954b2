import { type Framing, verifyImage } from '@renderyard/worker/segmind/verify-image';
import fc from 'fast-check';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';

const FRAMINGS: readonly Framing[] = ['length', 'chunked', 'close'];
/** What the spool keeps at hand of a body's beginning and end. */
const HEAD = 512 * 1024;
const TAIL = 4096;
const verify = (bytes: Uint8Array, framing: Framing = 'close') =>
  verifyImage({ head: bytes.subarray(0, HEAD), tail: bytes.subarray(-TAIL), bytes: bytes.length, framing });

/** Noise, which no encoder can make small. */
const noise = (width: number, height: number) =>
  sharp({
    create: { width, height, channels: 3, background: 'white', noise: { type: 'gaussian', mean: 128, sigma: 60 } },
  });

/** A segment of a JPEG's metadata that holds a whole small JPEG, as cameras and editors write thumbnails. */
function withThumbnail(image: Buffer, thumbnail: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(thumbnail.length + 8);
  const segment = Buffer.concat([Buffer.from('ffe1', 'hex'), length, Buffer.from('Exif\0\0'), thumbnail]);
  return Buffer.concat([image.subarray(0, 2), segment, image.subarray(2)]);
}

const images = new Map<string, { readonly bytes: Buffer; readonly contentType: string; readonly extension: string }>();
let large = Buffer.alloc(0);

beforeAll(async () => {
  const jpeg = { contentType: 'image/jpeg', extension: 'jpg' };
  const png = { contentType: 'image/png', extension: 'png' };
  const webp = { contentType: 'image/webp', extension: 'webp' };
  const size = [40, 30] as const;
  const baseline = await noise(...size)
    .jpeg()
    .toBuffer();
  images.set('JPEG', { bytes: baseline, ...jpeg });
  images.set('progressive JPEG', {
    bytes: await noise(...size)
      .jpeg({ progressive: true })
      .toBuffer(),
    ...jpeg,
  });
  images.set('grey JPEG with a profile', {
    bytes: await noise(...size)
      .greyscale()
      .withIccProfile('srgb')
      .jpeg()
      .toBuffer(),
    ...jpeg,
  });
  images.set('JPEG with a thumbnail', {
    bytes: withThumbnail(baseline, await noise(8, 6).jpeg({ quality: 30 }).toBuffer()),
    ...jpeg,
  });
  images.set('PNG', {
    bytes: await noise(...size)
      .png()
      .toBuffer(),
    ...png,
  });
  images.set('PNG with a palette', {
    bytes: await noise(...size)
      .png({ palette: true })
      .toBuffer(),
    ...png,
  });
  images.set('WebP', {
    bytes: await noise(...size)
      .webp()
      .toBuffer(),
    ...webp,
  });
  images.set('lossless WebP', {
    bytes: await noise(...size)
      .webp({ lossless: true })
      .toBuffer(),
    ...webp,
  });
  images.set('WebP with metadata', {
    bytes: await noise(...size)
      .withIccProfile('srgb')
      .webp()
      .toBuffer(),
    ...webp,
  });
  large = await noise(1024, 768).jpeg({ quality: 95 }).toBuffer();
});

const NAMES = [
  'JPEG',
  'progressive JPEG',
  'grey JPEG with a profile',
  'JPEG with a thumbnail',
  'PNG',
  'PNG with a palette',
  'WebP',
  'lossless WebP',
  'WebP with metadata',
];

function image(name: string) {
  const found = images.get(name);
  if (found === undefined) throw new Error(`there is no image ${name}`);
  return found;
}

describe.each(NAMES)('a %s', (name) => {
  it.each(FRAMINGS)('is whole, and known by its bytes, when framed by %s', (framing) => {
    const { bytes, contentType, extension } = image(name);
    expect(verify(bytes, framing)).toEqual({ ok: true, contentType, extension, width: 40, height: 30 });
  });

  it('is refused when it breaks off after any of its bytes, however it is framed', () => {
    const { bytes } = image(name);
    const taken: string[] = [];
    for (let cut = 0; cut < bytes.length; cut++)
      for (const framing of FRAMINGS)
        if (verify(bytes.subarray(0, cut), framing).ok) taken.push(`${cut} of ${bytes.length}, ${framing}`);
    expect(taken.slice(0, 5)).toEqual([]);
  });

  it.each([
    ['a line feed', Buffer.from('\n')],
    ['zeros', Buffer.alloc(1000)],
    ['nearly 4 KiB', Buffer.alloc(TAIL - 12, 0x20)],
  ])('is whole with %s behind its end', (_, padding) => {
    const { bytes } = image(name);
    expect(verify(Buffer.concat([bytes, padding])).ok).toBe(true);
  });
});

describe('a large JPEG', () => {
  it('is whole, and refused when it breaks off anywhere', () => {
    expect(large.length).toBeGreaterThan(HEAD);
    expect(verify(large)).toMatchObject({ ok: true, width: 1024, height: 768 });
    const cut = fc.oneof(
      fc.nat(large.length - 1),
      fc.integer({ min: 1, max: 5000 }).map((n) => large.length - n),
    );
    fc.assert(
      fc.property(cut, fc.constantFrom(...FRAMINGS), (length, framing) => {
        expect(verify(large.subarray(0, length), framing).ok).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});

describe('what is no image', () => {
  it.each([
    ['nothing', ''],
    ['HTML', '<!DOCTYPE html><html><body>502 Bad Gateway</body></html>'],
    ['JSON', '{"error":"out of memory"}'],
    ['text', 'GIF is what I wanted'],
    ['SVG', '<svg xmlns="http://www.w3.org/2000/svg" width="5" height="5"/>'],
    ['a JPEG’s first bytes', '\u00ff\u00d8\u00ff\u00d9'],
    ['a PNG’s first bytes', '\u0089PNG\r\n\u001a\n'],
    ['a RIFF of another kind', 'RIFF\u0010\u0000\u0000\u0000WAVEfmt '],
  ])('such as %s is refused with a reason', (_, text) => {
    for (const framing of FRAMINGS) {
      expect(verify(Buffer.from(text, 'latin1'), framing)).toEqual({ ok: false, problem: expect.stringMatching(/\w/) });
    }
  });

  it('is refused or accepted in a moment, and never throws, whatever the bytes', () => {
    const began = fc.constantFrom(...NAMES);
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 20 });
    fc.assert(
      fc.property(began, damage, fc.nat(400), (name, changes, length) => {
        const { bytes } = image(name);
        const damaged = Buffer.from(bytes.subarray(0, 20 + length));
        for (const [at, value] of changes) damaged[at % damaged.length] = value;
        const started = performance.now();
        verify(damaged, 'length');
        expect(performance.now() - started).toBeLessThan(1000);
      }),
      { numRuns: 2000 },
    );
  });

  it('is told from a GIF, whose end cannot be told, by how it came', () => {
    const gif = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64');
    expect(verify(gif, 'length')).toMatchObject({ ok: true, contentType: 'image/gif' });
    expect(verify(gif, 'close').ok).toBe(false);
  });
});
