/** A picture in memory: rows of pixels, three bytes each (red, green, blue). */
export interface Canvas {
  readonly width: number;
  readonly height: number;
  readonly data: Buffer;
}

/** Red, green and blue, 0 to 255. */
export type Colour = readonly [red: number, green: number, blue: number];

/** A canvas with undefined contents: the first thing drawn must cover all of it. */
export function createCanvas(width: number, height: number): Canvas {
  return { width, height, data: Buffer.allocUnsafe(width * height * 3) };
}

/** Fills a whole row with one colour. */
export function fillRow(canvas: Canvas, y: number, [red, green, blue]: Colour): void {
  const start = y * canvas.width * 3;
  const end = start + canvas.width * 3;
  const { data } = canvas;
  data[start] = red;
  data[start + 1] = green;
  data[start + 2] = blue;
  for (let filled = 3; start + filled < end; filled *= 2)
    data.copyWithin(start + filled, start, Math.min(start + filled, end - filled));
}

/** Mixes a colour into the pixels of a row from `from` to `to` (not included); parts outside of the canvas are cut. */
export function blendSpan(canvas: Canvas, y: number, from: number, to: number, colour: Colour, opacity: number): void {
  if (y < 0 || y >= canvas.height) return;
  const [red, green, blue] = colour;
  const share = Math.round(opacity * 256);
  const rest = 256 - share;
  const { data, width } = canvas;
  const end = (y * width + Math.min(width, to)) * 3;
  for (let at = (y * width + Math.max(0, from)) * 3; at < end; at += 3) {
    data[at] = ((data[at] ?? 0) * rest + red * share) >> 8;
    data[at + 1] = ((data[at + 1] ?? 0) * rest + green * share) >> 8;
    data[at + 2] = ((data[at + 2] ?? 0) * rest + blue * share) >> 8;
  }
}

/** Mixes a disc into the canvas. */
export function blendDisc(
  canvas: Canvas,
  disc: { readonly x: number; readonly y: number; readonly radius: number },
  colour: Colour,
  opacity: number,
): void {
  const top = Math.max(0, Math.ceil(disc.y - disc.radius));
  const bottom = Math.min(canvas.height - 1, Math.floor(disc.y + disc.radius));
  for (let y = top; y <= bottom; y++) {
    const half = Math.sqrt(Math.max(0, disc.radius ** 2 - (y - disc.y) ** 2));
    blendSpan(canvas, y, Math.round(disc.x - half), Math.round(disc.x + half), colour, opacity);
  }
}

/** A colour from hue (degrees), saturation and lightness (0 to 1). */
export function hsl(hue: number, saturation: number, lightness: number): Colour {
  const channel = (shift: number) => {
    const k = (shift + hue / 30) % 12;
    const reach = saturation * Math.min(lightness, 1 - lightness);
    return Math.round(255 * (lightness - reach * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}

/** The colour at `share` (0 to 1) of the way from one to another. */
export function mix(from: Colour, to: Colour, share: number): Colour {
  const at = (i: 0 | 1 | 2) => Math.round(from[i] + (to[i] - from[i]) * share);
  return [at(0), at(1), at(2)];
}
