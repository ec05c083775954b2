/**
 * A font of 5 x 9 pixels for what prompts are mostly made of, drawn in plain code: it is fast, it looks the same on every
 * machine, and it is there where no fonts are installed. A letter is a row of digits in base 32, one for each row of
 * pixels from the top; seven rows stand on the baseline, two hang below it. Rows that are left out are empty.
 */
const GLYPHS: Readonly<Record<string, string>> = Object.fromEntries(
  (
    'A ehhvhhh B uhhuhhu C ehggghe D sihhhis E vgguggv F vgguggg G ehgnhhf H hhhvhhh I e44444e J 72222ic K hikokih ' +
    'L ggggggv M hrllhhh N hhpljhh O ehhhhhe P uhhuggg Q ehhhlid R uhhukih S fgge11u T v444444 U hhhhhhe V hhhhha4 ' +
    'W hhhllla X hha4ahh Y hhha444 Z v1248gv ' +
    'a 00e1fhf b ggmphhu c 00egghe d 11djhhf e 00ehvge f 698s888 g 00fhhhf1e h ggmphhh i 40c444e j 2062222ic ' +
    'k ggikoki l c44444e m 00qllhh n 00mphhh o 00ehhhe p 00uhhhugg q 00fhhhf11 r 00mpggg s 00fge1u t 88s8896 ' +
    'u 00hhhjd v 00hhha4 w 00hhlla x 00ha4ah y 00hhhhf1e z 00v248v ' +
    '0 ehjlphe 1 4c4444e 2 eh1248v 3 v2421he 4 26aiv22 5 vgu11he 6 68guhhe 7 v124888 8 ehhehhe 9 ehhf12c ' +
    '! 4444404 " aa # aavavaa $ 4fke5u4 % op248j3 & cik8lid \' 44 ( 2488842 ) 8422248 * 04lel4 + 044v44 , 00000c48 ' +
    '- 000v . 00000cc / 01248g : 00cc0cc ; 00cc0c48 < 248g842 = 00v0v > 8421248 ? eh12404 @ ehnlmge [ e88888e ' +
    '\\ 0g8421 ] e22222e ^ 4ah _ 0000000v ` 84 { 2448442 | 44444444 } 8442448 ~ 008l2 ı 00c444e'
  )
    .split(' ')
    .flatMap((item, i, items) => (i % 2 === 0 ? [[item, items[i + 1] ?? '']] : [])),
);

/** Marks that combine with a letter: two rows of pixels right above it, except the cedilla, which hangs below. */
const MARKS: Readonly<Record<string, string>> = {
  '\u0300': '84',
  '\u0301': '24',
  '\u0302': '4a',
  '\u0303': 'dm',
  '\u0304': '0e',
  '\u0306': 'a4',
  '\u0307': '04',
  '\u0308': '0a',
  '\u030a': '44',
  '\u030b': '9i',
  '\u030c': 'a4',
  '\u0327': '48',
};

/** Signs that are drawn as others that mean the same. */
const SAME: Readonly<Record<string, string>> = {
  '‘': "'",
  '’': "'",
  '“': '"',
  '”': '"',
  '„': '"',
  '–': '-',
  '—': '-',
  '−': '-',
  '…': '...',
  '•': '*',
  '×': 'x',
  '·': '.',
};

/** Pixels from one letter to the next, and from one line to the next, at scale 1. */
export const ADVANCE = 6;
export const LINE_HEIGHT = 12;
/** Rows above a capital letter, for its accent. */
const ACCENT_ROWS = 2;

/** A letter as rows of five bits, from the top of its line. */
export type Glyph = readonly number[];

const cache = new Map<string, Glyph | undefined>();

/** The text in signs that this font may have: known replacements made, accents apart from their letters. */
export function plain(text: string): string {
  return text.replace(/[‘’“”„–—−…•×·]/g, (sign) => SAME[sign] ?? sign);
}

function build(cluster: string): Glyph | undefined {
  const [letter = '', ...marks] = cluster.normalize('NFD');
  const shape = GLYPHS[letter === 'i' && marks.length > 0 ? 'ı' : letter];
  if (shape === undefined || marks.some((mark) => MARKS[mark] === undefined)) return undefined;
  const rows = new Array<number>(ACCENT_ROWS + 9).fill(0);
  for (const [row, digit] of [...shape].entries()) rows[ACCENT_ROWS + row] = Number.parseInt(digit, 32);
  const high = letter !== letter.toLowerCase() || 'bdfhklt'.includes(letter);
  for (const mark of marks) {
    const top = mark === '\u0327' ? ACCENT_ROWS + 7 : high ? 0 : ACCENT_ROWS;
    for (const [row, digit] of [...(MARKS[mark] ?? '')].entries())
      rows[top + row] = (rows[top + row] ?? 0) | Number.parseInt(digit, 32);
  }
  return rows;
}

/** The letter as this font draws it, or undefined when it cannot. `cluster` is one letter with its marks. */
export function glyphOf(cluster: string): Glyph | undefined {
  if (cluster.length > 4) return undefined;
  if (cache.has(cluster)) return cache.get(cluster);
  const glyph = build(cluster);
  // What it cannot draw has no end, so it is not remembered.
  if (glyph !== undefined) cache.set(cluster, glyph);
  return glyph;
}
