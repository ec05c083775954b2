import { isUtf8 } from 'node:buffer';
import { UploadError } from '../upload-error.ts';

/** What was read of a piece: text in UTF-8, and what is wrong right after it. */
export interface Decoded {
  readonly text: Buffer;
  /** Makes the error, given the line on which the text ends. */
  readonly problem?: (line: number) => UploadError;
}

type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be';

const NOTHING = Buffer.alloc(0);
const MARKS: readonly (readonly [Encoding | 'utf-32', Buffer])[] = [
  ['utf-32', Buffer.from([0xff, 0xfe, 0, 0])],
  ['utf-32', Buffer.from([0, 0, 0xfe, 0xff])],
  ['utf-8', Buffer.from([0xef, 0xbb, 0xbf])],
  ['utf-16le', Buffer.from([0xff, 0xfe])],
  ['utf-16be', Buffer.from([0xfe, 0xff])],
];
const LONGEST_MARK = 4;
const REMEDY = 'Save the file as UTF-8 (in Excel: "CSV UTF-8") and send it again.';

/**
 * Turns the bytes of a file into UTF-8 by its byte order mark, and without one takes them as UTF-8. Nothing is ever
 * replaced: bytes that are no text are an error that says where.
 * @param charset of the content type, if it names one.
 */
export function createTextDecoder(charset: string | undefined) {
  let encoding: Encoding | undefined;
  /** Bytes that wait for more: of the mark, or of a character that is not whole. */
  let waiting: Buffer = NOTHING;
  /** Bytes of the file before `waiting`. */
  let position = 0;

  const decode = (bytes: Buffer, isLast: boolean): Decoded => {
    const decoded =
      encoding === 'utf-8' ? decodeUtf8(bytes, isLast) : decodeUtf16(bytes, isLast, encoding === 'utf-16be');
    const start = position;
    position += decoded.used;
    waiting = Buffer.from(bytes.subarray(decoded.used));
    const zero = decoded.text.indexOf(0);
    if (zero !== -1) return { text: decoded.text.subarray(0, zero), problem: zeroByte };
    const { wrong } = decoded;
    if (wrong === undefined) return { text: decoded.text };
    return {
      text: decoded.text,
      problem: (line) => invalidText(encoding ?? 'utf-8', start + wrong.at, wrong.what, line),
    };
  };

  /** @throws {UploadError} `unsupported_charset` */
  const begin = (bytes: Buffer): Buffer => {
    const [found, mark] = MARKS.find(([, bom]) => bytes.subarray(0, bom.length).equals(bom)) ?? ['utf-8', NOTHING];
    if (found === 'utf-32') throw new UploadError('unsupported_charset', `The file is UTF-32. ${REMEDY}`);
    assertCharset(charset, mark.length === 0 ? undefined : found);
    encoding = found;
    position = mark.length;
    return bytes.subarray(mark.length);
  };

  return {
    /** @throws {UploadError} `unsupported_charset` */
    push(piece: Buffer): Decoded {
      let bytes = waiting.length === 0 ? piece : Buffer.concat([waiting, piece]);
      if (encoding === undefined) {
        if (bytes.length < LONGEST_MARK) {
          waiting = bytes;
          return { text: NOTHING };
        }
        bytes = begin(bytes);
      }
      return decode(bytes, false);
    },

    /** @throws {UploadError} `unsupported_charset` */
    end: (): Decoded => decode(encoding === undefined ? begin(waiting) : waiting, true),
  };
}

interface Converted {
  readonly text: Buffer;
  /** Bytes that need not be seen again. */
  readonly used: number;
  readonly wrong?: { readonly at: number; readonly what: string };
}

function decodeUtf8(bytes: Buffer, isLast: boolean): Converted {
  const used = isLast ? bytes.length : wholeUtf8(bytes);
  const text = bytes.subarray(0, used);
  if (isUtf8(text)) return { text, used };
  // Decoding replaces what is wrong, so the first byte that differs when encoded again is the one.
  const again = Buffer.from(text.toString('utf8'));
  let at = 0;
  while (at < text.length && text[at] === again[at]) at++;
  const what =
    at < text.length
      ? `0x${text
          .subarray(at, at + 1)
          .toString('hex')
          .toUpperCase()}`
      : 'a character that is cut off';
  return { text: text.subarray(0, wholeUtf8(text.subarray(0, at))), used, wrong: { at, what } };
}

/** The length without a character at the end whose last bytes are missing. */
function wholeUtf8(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] as number;
    if (byte < 0x80) break;
    if (byte < 0xc0) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return length > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

function decodeUtf16(bytes: Buffer, isLast: boolean, isBigEndian: boolean): Converted {
  let used = bytes.length - (bytes.length % 2);
  // A copy, because swapping is done in place.
  const even = isBigEndian ? Buffer.from(bytes.subarray(0, used)).swap16() : bytes.subarray(0, used);
  let units = even.toString('utf16le');
  const last = units.charCodeAt(units.length - 1);
  if (!isLast && last >= 0xd800 && last <= 0xdbff) {
    units = units.slice(0, -1);
    used -= 2;
  }
  if (!units.isWellFormed()) {
    const at = firstLoneSurrogate(units);
    const what = `half of a surrogate pair, 0x${units.charCodeAt(at).toString(16).toUpperCase()}`;
    return { text: Buffer.from(units.slice(0, at)), used, wrong: { at: at * 2, what } };
  }
  const text = Buffer.from(units);
  if (isLast && used < bytes.length)
    return { text, used: bytes.length, wrong: { at: used, what: 'half of a character' } };
  return { text, used };
}

function firstLoneSurrogate(text: string): number {
  const mended = text.toWellFormed();
  let at = 0;
  while (text.charCodeAt(at) === mended.charCodeAt(at)) at++;
  return at;
}

/** What the content type says must not be against what the file shows; only UTF-8 is told by neither. */
function assertCharset(charset: string | undefined, mark: Encoding | undefined): void {
  const name = charset
    ?.toLowerCase()
    .replace(/^"|"$/g, '')
    .replace(/^utf_?(8|16)/, 'utf-$1');
  if (name === undefined || name === 'utf-8' || name === mark || (name === 'utf-16' && mark?.startsWith(name))) return;
  throw new UploadError(
    'unsupported_charset',
    `The content type says charset=${(charset ?? '').slice(0, 40)}, and ${mark === undefined ? 'the file has no byte order mark' : `the file has the byte order mark of ${mark.toUpperCase()}`}. ${REMEDY}`,
    { value: charset },
  );
}

function invalidText(encoding: Encoding, at: number, what: string, line: number): UploadError {
  return new UploadError(
    'invalid_encoding',
    `The file is not valid ${encoding.toUpperCase()}: line ${line} has ${what} at byte ${at + 1} of the file. ${REMEDY}`,
    { line, value: what },
  );
}

function zeroByte(line: number): UploadError {
  return new UploadError(
    'invalid_encoding',
    `Line ${line} holds a NUL character, which no text has: the file may be UTF-16 without a byte order mark. ${REMEDY}`,
    { line },
  );
}
