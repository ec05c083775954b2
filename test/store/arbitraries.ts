import { keyProblem } from '@renderyard/shared/store/object-key';
import fc from 'fast-check';

/** Pieces that mean something on disk, in a URL, in XML or to our own escaping, and some that do not. */
const PIECES = [
  ...[
    'a',
    'B',
    'ß',
    'é',
    '日',
    '🎉',
    ' ',
    '.',
    '..',
    '%',
    '%2E',
    '%file',
    '%more',
    '.meta',
    '.temp',
    '.format.json',
    'con',
    'x.png',
  ],
  ...['+', '&', '=', '?', '#', ';', '"', "'", '<', '>', '*', '(', '!', '~', ':', '|', '@', '-', '_', '0'],
];

const segment = fc.oneof(
  fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 5 }).map((pieces) => pieces.join('')),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }),
);

/** Names that mean something in a URL, on a disk or in XML. */
export const AWKWARD_KEYS = [
  'ré sumé.txt',
  'a+b&c=d?#;.txt',
  'p%20q%2F.txt',
  `quote'(1)!*"<>.txt`,
  '日本/🎉.bin',
  '.env',
  'a:b|c',
  'con',
  '~',
];

/** Keys that the stores accept, of one to four short segments. */
export const keys = fc
  .array(segment, { minLength: 1, maxLength: 4 })
  .map((segments) => segments.join('/').normalize('NFC'))
  .filter((key) => keyProblem(key) === undefined);

/** The same with segments that are longer than a file's name may be. */
export const longKeys = fc
  .tuple(keys, fc.constantFrom('x', '%', 'ü', '.', '🎉'), fc.integer({ min: 1, max: 700 }), keys)
  .map(([head, unit, length, tail]) => head + unit.repeat(length) + tail)
  .filter((key) => keyProblem(key) === undefined);
