import { blendDisc, blendSpan, type Canvas, fillRow, hsl, mix } from './canvas.ts';

type Draw = () => number;
/** Draws one kind of scene over a sky that is there already. Hues are in degrees. */
type Scene = (canvas: Canvas, draw: Draw, hue: number) => void;

/** Ranges of hills, each nearer and darker than the one behind it, under a sun. */
const hills: Scene = (canvas, draw, hue) => {
  const { width, height, data } = canvas;
  const sun = { x: width * (0.2 + 0.6 * draw()), y: height * (0.22 + 0.2 * draw()) };
  const radius = Math.min(width, height) * (0.07 + 0.07 * draw());
  blendDisc(canvas, { ...sun, radius: radius * 1.6 }, hsl((hue + 40) % 360, 0.9, 0.85), 0.25);
  blendDisc(canvas, { ...sun, radius }, hsl((hue + 40) % 360, 0.95, 0.88), 0.9);
  const ranges = 4;
  for (let range = 0; range < ranges; range++) {
    const colour = hsl((hue + 200 + range * 12) % 360, 0.35, 0.5 - range * 0.11);
    const base = height * (0.45 + (0.45 * range) / ranges);
    const waves = [1, 2.3, 5.1].map((pace) => ({
      pace: (pace * (0.6 + 0.8 * draw()) * 2 * Math.PI) / width,
      phase: draw() * 7,
      size: (height * 0.07) / pace,
    }));
    const ridge = new Float32Array(width);
    let top = height;
    for (let x = 0; x < width; x++) {
      let y = base;
      for (const wave of waves) y += Math.sin(x * wave.pace + wave.phase) * wave.size;
      ridge[x] = y;
      top = Math.min(top, y);
    }
    const [red, green, blue] = colour;
    for (let y = Math.max(0, Math.floor(top)); y < height; y++) {
      let at = y * width * 3;
      for (let x = 0; x < width; x++, at += 3) {
        if (y < (ridge[x] ?? 0)) continue;
        data[at] = red;
        data[at + 1] = green;
        data[at + 2] = blue;
      }
    }
  }
};

/** Large discs of light that lie over each other. */
const orbs: Scene = (canvas, draw, hue) => {
  const size = Math.min(canvas.width, canvas.height);
  for (let i = 0; i < 9; i++) {
    const disc = { x: canvas.width * draw(), y: canvas.height * draw(), radius: size * (0.08 + 0.28 * draw()) };
    const colour = hsl((hue + 80 * draw() + 330) % 360, 0.75, 0.45 + 0.35 * draw());
    blendDisc(canvas, disc, colour, 0.3);
    blendDisc(canvas, { ...disc, radius: disc.radius * 0.72 }, colour, 0.3);
  }
};

/** Slanted bands of light, each a little wider than the last. */
const bands: Scene = (canvas, draw, hue) => {
  const { width, height } = canvas;
  const slope = (draw() - 0.5) * 1.6;
  const count = 7 + Math.floor(draw() * 5);
  let left = -width * 0.6;
  for (let i = 0; i < count; i++) {
    const thickness = width * (0.04 + 0.16 * draw());
    const colour = hsl((hue + i * 14 + 20 * draw()) % 360, 0.7, 0.35 + 0.4 * draw());
    const bend = draw() * 6;
    for (let y = 0; y < height; y++) {
      const x = left + slope * y + Math.sin((y / height) * 3 + bend) * width * 0.06;
      blendSpan(canvas, y, Math.round(x), Math.round(x + thickness), colour, 0.45);
    }
    left += (thickness + width * 0.06) * (0.8 + 0.4 * draw());
  }
};

const SCENES: readonly Scene[] = [hills, orbs, bands];

/** Covers the canvas with a picture that depends only on the canvas's size and on what `draw` gives. */
export function drawScene(canvas: Canvas, draw: Draw): void {
  const hue = draw() * 360;
  const above = hsl(hue, 0.6, 0.3 + 0.15 * draw());
  const below = hsl((hue + 30 + 60 * draw()) % 360, 0.75, 0.65 + 0.15 * draw());
  for (let y = 0; y < canvas.height; y++) fillRow(canvas, y, mix(above, below, y / canvas.height));
  const scene = SCENES[Math.floor(draw() * SCENES.length)] ?? hills;
  scene(canvas, draw, hue);
}
