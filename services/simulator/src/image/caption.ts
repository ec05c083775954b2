import { blendSpan, type Canvas, type Colour } from './canvas.ts';
import { ADVANCE, type Glyph, LINE_HEIGHT } from './pixel-font.ts';
import { splitWords, type Word, type Words } from './words.ts';

const INK: Colour = [255, 255, 255];
const FAINT: Colour = [190, 200, 210];
const SHADE: Colour = [8, 10, 16];
/** The caption takes at most this share of the height. */
const MOST_HEIGHT = 0.6;

function drawGlyph(canvas: Canvas, glyph: Glyph, left: number, top: number, scale: number, colour: Colour): void {
  for (const [row, bits] of glyph.entries()) {
    for (let column = 0; column < 5; column++) {
      if ((bits & (16 >> column)) === 0) continue;
      const x = left + column * scale;
      for (let y = top + row * scale; y < top + (row + 1) * scale; y++) blendSpan(canvas, y, x, x + scale, colour, 1);
    }
  }
}

function drawBitmap(canvas: Canvas, word: Word & { readonly kind: 'bitmap' }, left: number, top: number): void {
  for (let y = 0; y < word.height; y++) {
    for (let x = 0; x < word.width && left + x < canvas.width; x++) {
      const at = (y * word.width + x) * 4;
      const alpha = word.rgba[at + 3] ?? 0;
      if (alpha === 0) continue;
      // Text without colours of its own comes in black; on the dark caption it must be light. Emoji keep their colours.
      const own: Colour = [word.rgba[at] ?? 0, word.rgba[at + 1] ?? 0, word.rgba[at + 2] ?? 0];
      const colour = own[0] + own[1] + own[2] < 48 ? INK : own;
      blendSpan(canvas, top + y, left + x, left + x + 1, colour, alpha / 255);
    }
  }
}

function drawWord(canvas: Canvas, word: Word, left: number, top: number, scale: number, colour: Colour): void {
  if (word.kind === 'bitmap')
    drawBitmap(canvas, word, left, top + Math.max(0, Math.floor((LINE_HEIGHT * scale - word.height) / 2)));
  else
    for (const [i, glyph] of word.glyphs.entries())
      drawGlyph(canvas, glyph, left + i * ADVANCE * scale, top, scale, colour);
}

/** Breaks text into lines of `room` pixels; undefined when it takes more than `lines` of them. */
async function layOut(
  text: string,
  room: number,
  lines: number,
  scale: number,
  words: Words,
): Promise<Word[][] | undefined> {
  const rows: Word[][] = [[]];
  let used = 0;
  for (const letters of splitWords(text, Math.floor(room / (ADVANCE * scale)))) {
    const word = await words.prepare(letters, scale);
    let row = rows[rows.length - 1] ?? [];
    if (row.length > 0 && used + word.width > room) {
      if (rows.length >= lines) return undefined;
      row = [];
      rows.push(row);
      used = 0;
    }
    row.push(word);
    used += word.width + ADVANCE * scale;
  }
  return rows;
}

/** The largest scale at which the text fits, or the smallest with the text cut until it does. */
async function fitCaption(text: string, canvas: Canvas, room: number, reserved: number, words: Words) {
  const linesAt = (scale: number) => Math.floor((canvas.height * MOST_HEIGHT - reserved) / (LINE_HEIGHT * scale));
  const most = (scale: number) => Math.floor(room / (ADVANCE * scale)) * linesAt(scale);
  for (let scale = Math.max(1, Math.round(Math.min(canvas.width, canvas.height) / 320)); scale >= 1; scale--) {
    const rows = text.length > most(scale) ? undefined : await layOut(text, room, linesAt(scale), scale, words);
    if (rows !== undefined) return { rows, scale };
  }
  for (let kept = Math.min(text.length, most(1)); kept > 4; kept = Math.floor(kept * 0.85)) {
    const rows = await layOut(`${text.slice(0, kept - 3).toWellFormed()}...`, room, linesAt(1), 1, words);
    if (rows !== undefined) return { rows, scale: 1 };
  }
  return { rows: [], scale: 1 };
}

/** As many of the parts as fit in one line, with hyphens between them; none on a picture that is too narrow for the first. */
function fitFooter(parts: readonly string[], room: number, scale: number): string {
  let line = '';
  for (const part of parts) {
    const longer = line === '' ? part : `${line} - ${part}`;
    if (longer.length * ADVANCE * scale > room) break;
    line = longer;
  }
  return line;
}

/** Text without what has no place on a line: control characters become spaces, lone surrogates a replacement sign. */
function clean(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim();
}

/**
 * Writes the prompt over the foot of the picture, as large as it fits, and a small line of `facts` (of ASCII) under it, as
 * many as there is room for. A prompt that does not fit at the smallest scale is cut, and ends in three dots.
 */
export async function drawCaption(
  canvas: Canvas,
  prompt: string,
  facts: readonly string[],
  words: Words,
): Promise<void> {
  const { width, height } = canvas;
  const margin = Math.max(2, Math.round(Math.min(width, height) / 64));
  const room = width - 2 * margin;
  const small = Math.max(1, Math.floor(Math.min(width, height) / 512));
  const footer = fitFooter(facts, room, small);
  const footHeight = footer === '' ? 0 : LINE_HEIGHT * small;
  const { rows, scale } = await fitCaption(clean(prompt), canvas, room, 2 * margin + footHeight, words);
  const captionHeight = rows.length * LINE_HEIGHT * scale;
  const top = height - captionHeight - footHeight - 2 * margin;
  for (let y = Math.max(0, top); y < height; y++) blendSpan(canvas, y, 0, width, SHADE, 0.62);
  const drawRow = (row: readonly Word[], y: number, size: number, colour: Colour) => {
    let left = margin;
    for (const word of row) {
      drawWord(canvas, word, left, y, size, colour);
      left += word.width + ADVANCE * size;
    }
  };
  for (const [i, row] of rows.entries()) drawRow(row, top + margin + i * LINE_HEIGHT * scale, scale, INK);
  const footRows = await layOut(footer, room, 1, small, words);
  drawRow(footRows?.[0] ?? [], height - margin - LINE_HEIGHT * small, small, FAINT);
}
