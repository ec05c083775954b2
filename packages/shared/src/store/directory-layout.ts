/**
 * Where a key lies in the directory store, so that people find their images by name: `a/b.png` is the file `a/b.png`.
 * What would clash on disk but not in a bucket is told apart by "%", which stands for itself only as `%25`:
 * - A folder's name never has a dot and a file's always does, so that `a` and `a/b` can both be: a dot in a folder's
 *   name is `%2E`, and a file without one ends with `%file`.
 * - A leading dot is `%2E`; names that do begin with one are the store's own, or the file manager's.
 * - Where the file system takes `A` and `a` for the same (`fold`), letters that are not small ones are escaped.
 * - A name above 200 bytes is cut, and all but its last piece are folders that end with `%more`.
 */
import { compareKeys } from './object-key.ts';

/** 255 is what file systems take; the rest is for the version in a sidecar's name. */
const MAX_NAME_BYTES = 200;
const FILE = '%file';
const MORE = '%more';

/** Names that stand for themselves whatever the file system: nearly all, and the rest takes its time. */
const PLAIN_FOLDER = /^[a-z0-9_-]+$/;
const PLAIN_FILE = /^[a-z0-9_-]+\.[a-z0-9_.-]*$/;

/** The folder of what is being written, and of interrupted writes. */
export const TEMP_FOLDER = '.temp';
/** The folder of sidecars: a tree like that of the objects. */
export const SIDECAR_FOLDER = '.meta';
/** Says how this directory is laid out; where it is missing, this is no directory store. */
export const FORMAT_FILE = '.format.json';

export interface LayoutOptions {
  readonly fold: boolean;
}

/** The names on disk, from the root down, of a valid key. */
export function pathOfKey(key: string, options: LayoutOptions): string[] {
  const segments = key.split('/');
  return segments.flatMap((segment, i) => namesOfSegment(segment, i < segments.length - 1, options));
}

/** The names on disk of one segment of a key: one, or more where it is long. */
export function namesOfSegment(segment: string, folder: boolean, { fold }: LayoutOptions): string[] {
  if (segment.length <= MAX_NAME_BYTES && (folder ? PLAIN_FOLDER : PLAIN_FILE).test(segment)) return [segment];
  const units = Array.from(segment, (character) =>
    character === '%' || (character === '.' && folder) || (fold && hasCase(character))
      ? encodeBytes(character)
      : character,
  );
  const names = cut(units);
  return folder || names.some((name) => name.includes('.')) ? names : cut([...units, FILE]);
}

/** Joins what belongs together to names that are not too long and do not begin with a dot. */
function cut(units: readonly string[]): string[] {
  const names: string[] = [];
  let name = '';
  for (const unit of units) {
    if (Buffer.byteLength(name) + Buffer.byteLength(unit) > MAX_NAME_BYTES) {
      names.push(name + MORE);
      name = '';
    }
    name += name === '' && unit === '.' ? encodeBytes(unit) : unit;
  }
  return [...names, name];
}

/** Whether a folder's name on disk is a piece of a longer name. */
export function isPiece(name: string): boolean {
  return name.endsWith(MORE);
}

/**
 * The inverse of `namesOfSegment`.
 * @returns undefined for names that it would not have given: files and folders that are not ours.
 */
export function segmentOfNames(names: readonly string[], folder: boolean, options: LayoutOptions): string | undefined {
  const encoded = names.map((name, i) => (i < names.length - 1 ? name.slice(0, -MORE.length) : name)).join('');
  const bare = !folder && encoded.endsWith(FILE) ? encoded.slice(0, -FILE.length) : encoded;
  let segment: string;
  try {
    // HFS+ gives names in normal form D; keys are in form C.
    segment = decodeURIComponent(bare).normalize('NFC');
  } catch {
    return undefined;
  }
  if (segment === '') return undefined;
  const again = namesOfSegment(segment, folder, options);
  return again.length === names.length && again.every((name, i) => name === names[i]?.normalize('NFC'))
    ? segment
    : undefined;
}

/** How an entry of a folder sorts among the keys: whatever lies in the folder `a` has keys that begin with `a/`. */
export function compareEntries(a: { readonly sortsAs: string }, b: { readonly sortsAs: string }): number {
  return compareKeys(a.sortsAs, b.sortsAs);
}

/** Whether a file system without case may take it for another character, as it does `A`, `ß` and `ſ`. */
function hasCase(character: string): boolean {
  return character !== character.toLowerCase() || character !== character.toUpperCase().toLowerCase();
}

function encodeBytes(character: string): string {
  return Array.from(Buffer.from(character), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
}
