import sharp from 'sharp';
import { ADVANCE, type Glyph, glyphOf, LINE_HEIGHT, plain } from './pixel-font.ts';

/** A piece of a line, ready to be drawn. Widths are in pixels. */
export type Word =
  | { readonly kind: 'glyphs'; readonly width: number; readonly glyphs: readonly Glyph[] }
  | { readonly kind: 'bitmap'; readonly width: number; readonly height: number; readonly rgba: Buffer };

/** How many drawn words are remembered, and how many letters one may have before it is broken in two. */
const REMEMBERED = 2000;
const LONGEST = 16;

const clusters = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** Splits text at its spaces, and words that are too long for a line of `columns` letters in pieces. */
export function splitWords(text: string, columns: number): readonly (readonly string[])[] {
  const words: string[][] = [];
  const longest = Math.max(1, Math.min(LONGEST, columns));
  for (const word of plain(text).split(' ')) {
    if (word === '') continue;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: this asks for ASCII
    const ascii = /^[\x00-\x7f]*$/.test(word);
    const letters = ascii ? [...word] : Array.from(clusters.segment(word), ({ segment }) => segment);
    const room = ascii ? Math.max(1, columns) : longest;
    for (let i = 0; i < letters.length; i += room) words.push(letters.slice(i, i + room));
  }
  return words;
}

/**
 * Makes words ready to be drawn: in the pixel font when that has all of their letters, otherwise through the fonts that
 * are installed. Those drawings are slow, some milliseconds each, so they are remembered.
 */
export function createWords() {
  const remembered = new Map<string, Word>();

  const drawn = async (text: string, scale: number): Promise<Word> => {
    const escaped = text.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);
    try {
      const { data, info } = await sharp({ text: { text: escaped, font: `sans ${8 * scale}`, dpi: 72, rgba: true } })
        .resize({ height: LINE_HEIGHT * scale, fit: 'inside', withoutEnlargement: true })
        .ensureAlpha()
        .raw()
        .toBuffer({ resolveWithObject: true });
      return { kind: 'bitmap', width: info.width, height: info.height, rgba: data };
    } catch {
      // Letters that leave no mark at all, such as a lone joiner, cannot be drawn: they take the place of a space.
      return { kind: 'glyphs', width: ADVANCE * scale, glyphs: [] };
    }
  };

  return {
    /** One word at a scale of the pixel font. */
    prepare: async (letters: readonly string[], scale: number): Promise<Word> => {
      const glyphs: Glyph[] = [];
      for (const letter of letters) {
        const glyph = glyphOf(letter);
        if (glyph !== undefined) glyphs.push(glyph);
      }
      if (glyphs.length === letters.length) return { kind: 'glyphs', width: glyphs.length * ADVANCE * scale, glyphs };
      const text = letters.join('');
      const name = `${scale} ${text}`;
      const known = remembered.get(name);
      if (known !== undefined) return known;
      const word = await drawn(text, scale);
      if (remembered.size >= REMEMBERED)
        for (const oldest of remembered.keys()) {
          remembered.delete(oldest);
          break;
        }
      remembered.set(name, word);
      return word;
    },
  };
}

export type Words = ReturnType<typeof createWords>;
