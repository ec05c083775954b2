/** Of UTF-8, for each folder and name of a key. File systems take 255; a suffix, an extension and more come on top. */
const MOST_NAME_BYTES = 180;
/** All folders and the name together: an object's key may have 900 bytes, of which the batch's folder takes the rest. */
const MOST_KEY_BYTES = 800;
/** A key may have so many names one in the other, so that each has room. */
export const MOST_NAMES = 16;

/** Names that Windows keeps for devices, with any extension. */
const RESERVED = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)/i;
const UNSAFE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
  /[\u0000-\u001f\u007f-\u009f/\\:*?"<>|%\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ufffe\uffff]/g;
const PLAIN = /^[\w-]+$/;
const ASCII = /^[\u0020-\u007e]*$/;
const IGNORABLE = /\p{Default_Ignorable_Code_Point}/gu;

/**
 * The text as the name of a file or folder that every store and file system keeps as it is: in Unicode normal form C,
 * without characters that some refuse, with no dot or white space at its ends, of at most 180 bytes. Never empty.
 *
 * @param names how many such names the key has; with more of them each may be less long
 */
export function safeName(text: string, names = 1): string {
  if (names === 1 && text.length <= MOST_NAME_BYTES && PLAIN.test(text)) {
    return text.length <= 4 && RESERVED.test(text) ? `_${text}` : text;
  }
  const safe = text
    .normalize('NFC')
    .replace(UNSAFE, '_')
    .replace(/^[.\s]+/u, '');
  const most = Math.min(MOST_NAME_BYTES, Math.floor(MOST_KEY_BYTES / names) - 1);
  const name = cutBytes(safe, most).replace(/[.\s]+$/u, '');
  if (name === '') return '_';
  return RESERVED.test(name) ? `_${name}` : name;
}

/**
 * What two keys have in common that any file system might take for the same: their NFKC form with case and invisible
 * characters taken away.
 */
export function foldKey(key: string): string {
  if (ASCII.test(key)) return key.toLowerCase();
  // Lower, then upper: so ẞ, ß and ss meet, and all three of Σ, σ and ς, and I with ı.
  const folded = key.normalize('NFKC').replace(IGNORABLE, '').toLowerCase().toUpperCase();
  return folded.normalize('NFKC').toLowerCase().toUpperCase().toLowerCase().normalize('NFC');
}

/** The longest beginning of whole characters that has at most so many bytes of UTF-8. */
function cutBytes(text: string, most: number): string {
  if (text.length * 3 <= most || Buffer.byteLength(text) <= most) return text;
  let bytes = 0;
  let end = 0;
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > most) break;
    end += character.length;
  }
  return text.slice(0, end);
}
