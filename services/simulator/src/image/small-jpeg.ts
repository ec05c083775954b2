import type { Canvas } from './canvas.ts';

/**
 * A baseline JPEG (ITU-T T.81) in plain code, for small pictures: a library's encoder spends a millisecond on being
 * called at all, in which this one has long finished. Colours have half the resolution of brightness, as is usual.
 */

/** Pixels up to which this is the quicker way. */
export const MOST_PIXELS = 128 * 128;

/** Tables K.1 and K.2: the steps of brightness and of colour at quality 50, row by row. */
const STEPS = [
  [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
    87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
  ],
  [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99,
  ],
] as const;

/** Figure A.6: the diagonals of a block in turn, upwards those whose row and column make an even sum. */
const ZIGZAG = Uint8Array.from(
  Array.from({ length: 64 }, (_, i) => i).sort((a, b) => {
    const diagonal = (a >> 3) + (a & 7);
    return diagonal - (b >> 3) - (b & 7) || (diagonal % 2 === 0 ? b - a : a - b);
  }),
);

/** A cosine of the transform of eight values (A.3.3), k sixteenths of a half turn on, halved. */
const [C1, C2, C3, C4, C5, C6, C7] = [1, 2, 3, 4, 5, 6, 7].map((k) => Math.cos((k * Math.PI) / 16) / 2) as [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
];

/** The transform of eight values that lie `step` apart: first of sums of opposite ones, then of differences. */
function transform(values: Float64Array, at: number, step: number): void {
  const [p0, p1, p2, p3] = [at, at + step, at + 2 * step, at + 3 * step];
  const [p4, p5, p6, p7] = [at + 4 * step, at + 5 * step, at + 6 * step, at + 7 * step];
  const s0 = (values[p0] as number) + (values[p7] as number);
  const s1 = (values[p1] as number) + (values[p6] as number);
  const s2 = (values[p2] as number) + (values[p5] as number);
  const s3 = (values[p3] as number) + (values[p4] as number);
  const d0 = (values[p0] as number) - (values[p7] as number);
  const d1 = (values[p1] as number) - (values[p6] as number);
  const d2 = (values[p2] as number) - (values[p5] as number);
  const d3 = (values[p3] as number) - (values[p4] as number);
  values[p0] = (s0 + s1 + s2 + s3) * C4;
  values[p1] = d0 * C1 + d1 * C3 + d2 * C5 + d3 * C7;
  values[p2] = (s0 - s3) * C2 + (s1 - s2) * C6;
  values[p3] = d0 * C3 - d1 * C7 - d2 * C1 - d3 * C5;
  values[p4] = (s0 - s1 - s2 + s3) * C4;
  values[p5] = d0 * C5 - d1 * C1 + d2 * C7 + d3 * C3;
  values[p6] = (s0 - s3) * C6 - (s1 - s2) * C2;
  values[p7] = d0 * C7 - d1 * C5 + d2 * C3 - d3 * C1;
}

/**
 * Codes of equal length, four bits for a difference's size and eight for a run and a size, so that a symbol's code is
 * its place in the list. Files are larger than with codes made for photographs, and small still.
 */
const SIZES = Array.from({ length: 12 }, (_, size) => size);
const RUNS = [0x00, 0xf0, ...Array.from({ length: 160 }, (_, i) => ((i % 16) << 4) | (Math.floor(i / 16) + 1))];
const RUN_CODES = new Uint8Array(256);
for (const [code, symbol] of RUNS.entries()) RUN_CODES[symbol] = code;
const END_OF_BLOCK = 0x00;
const SIXTEEN_ZEROS = 0xf0;

const segment = (marker: number, ...body: readonly number[]) => [
  0xff,
  marker,
  (body.length + 2) >> 8,
  (body.length + 2) & 255,
  ...body,
];
const codes = (bits: number, symbols: readonly number[]) => [
  ...Array.from({ length: 16 }, (_, i) => (i + 1 === bits ? symbols.length : 0)),
  ...symbols,
];

function steps(quality: number): readonly (readonly number[])[] {
  const scale = quality < 50 ? 5000 / quality : 200 - 2 * quality;
  return STEPS.map((table) => table.map((step) => Math.min(255, Math.max(1, Math.floor((step * scale + 50) / 100)))));
}

interface Frame {
  readonly name: string;
  readonly tables: readonly (readonly number[])[];
  readonly head: Buffer;
}

let last: Frame | undefined;

/** All that stands before the picture; that of the last call is kept, since small pictures come by the thousand. */
function frameOf({ width, height }: Canvas, quality: number): Frame {
  const name = `${width} ${height} ${quality}`;
  if (last?.name === name) return last;
  const tables = steps(quality);
  const head = Buffer.from([
    ...[0xff, 0xd8],
    ...segment(0xe0, 0x4a, 0x46, 0x49, 0x46, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0),
    ...tables.flatMap((table, i) => segment(0xdb, i, ...Array.from(ZIGZAG, (at) => table[at] ?? 1))),
    ...segment(0xc0, 8, height >> 8, height & 255, width >> 8, width & 255, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1),
    ...segment(0xc4, 0x00, ...codes(4, SIZES)),
    ...segment(0xc4, 0x10, ...codes(8, RUNS)),
    ...segment(0xda, 3, 1, 0, 2, 0, 3, 0, 0, 63, 0),
  ]);
  last = { name, tables, head };
  return last;
}

/** Bits behind one another, with the zero that follows each byte of ones (F.1.2.3). */
function createBits(bytes: Buffer, start: number) {
  let at = start;
  let held = 0;
  let count = 0;
  const put = (value: number, bits: number) => {
    held = (held << bits) | value;
    count += bits;
    while (count >= 8) {
      count -= 8;
      const byte = (held >> count) & 255;
      bytes[at++] = byte;
      if (byte === 255) bytes[at++] = 0;
    }
    held &= (1 << count) - 1;
  };
  return {
    put,
    /** Fills the last byte with ones. @returns where the next one goes. */
    end: () => {
      if (count > 0) put((1 << (8 - count)) - 1, 8 - count);
      return at;
    },
  };
}

/** Where a picture is put together, one at a time. */
let scratch = Buffer.alloc(0);

/** Encodes a picture of at most {@link MOST_PIXELS}. @param quality 10 to 100, as libjpeg counts it. */
export function encodeSmallJpeg(canvas: Canvas, quality: number): Buffer {
  const { width, height, data } = canvas;
  const { tables, head } = frameOf(canvas, quality);
  const across = Math.ceil(width / 16);
  const down = Math.ceil(height / 16);
  // A value takes 18 bits at most, and twice that where all are ones.
  const most = head.length + across * down * 6 * 64 * 5;
  if (scratch.length < most) scratch = Buffer.alloc(most);
  const bytes = scratch;
  bytes.set(head);
  const bits = createBits(bytes, head.length);

  const putSigned = (value: number, size: number) => bits.put(value < 0 ? value + (1 << size) - 1 : value, size);
  const before = [0, 0, 0];
  const putBlock = (block: Float64Array, component: 0 | 1 | 2) => {
    const table = tables[component === 0 ? 0 : 1] ?? [];
    for (let row = 0; row < 64; row += 8) transform(block, row, 1);
    for (let column = 0; column < 8; column++) transform(block, column, 8);
    let zeros = 0;
    for (let i = 0; i < 64; i++) {
      const at = ZIGZAG[i] as number;
      const level = Math.round((block[at] as number) / (table[at] as number));
      if (i === 0) {
        const difference = level - (before[component] ?? 0);
        before[component] = level;
        const size = 32 - Math.clz32(Math.abs(difference));
        bits.put(size, 4);
        putSigned(difference, size);
      } else if (level === 0) zeros++;
      else {
        for (; zeros >= 16; zeros -= 16) bits.put(RUN_CODES[SIXTEEN_ZEROS] ?? 0, 8);
        const size = 32 - Math.clz32(Math.abs(level));
        bits.put(RUN_CODES[(zeros << 4) | size] ?? 0, 8);
        putSigned(level, size);
        zeros = 0;
      }
    }
    if (zeros > 0) bits.put(RUN_CODES[END_OF_BLOCK] ?? 0, 8);
  };

  const bright = [0, 1, 2, 3].map(() => new Float64Array(64));
  const blue = new Float64Array(64);
  const red = new Float64Array(64);
  for (let top = 0; top < down * 16; top += 16) {
    for (let left = 0; left < across * 16; left += 16) {
      blue.fill(0);
      red.fill(0);
      for (let y = 0; y < 16; y++) {
        const line = Math.min(height - 1, top + y) * width;
        for (let x = 0; x < 16; x++) {
          // Beyond the edge the last pixel goes on.
          const from = (line + Math.min(width - 1, left + x)) * 3;
          const r = data[from] ?? 0;
          const g = data[from + 1] ?? 0;
          const b = data[from + 2] ?? 0;
          const luma = 0.299 * r + 0.587 * g + 0.114 * b;
          (bright[(y & 8) / 4 + (x >> 3)] as Float64Array)[(y & 7) * 8 + (x & 7)] = luma - 128;
          const chroma = (y >> 1) * 8 + (x >> 1);
          blue[chroma] = (blue[chroma] ?? 0) + (b - luma) * (0.25 / 1.772);
          red[chroma] = (red[chroma] ?? 0) + (r - luma) * (0.25 / 1.402);
        }
      }
      for (const block of bright) putBlock(block, 0);
      putBlock(blue, 1);
      putBlock(red, 2);
    }
  }
  const end = bits.end();
  bytes[end] = 0xff;
  bytes[end + 1] = 0xd9;
  return Buffer.from(bytes.subarray(0, end + 2));
}
