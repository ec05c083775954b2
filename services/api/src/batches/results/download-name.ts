import type { BatchRecord } from '@renderyard/shared/batch/batch';

/** Characters of the part that comes from the user. */
const MOST = 100;
// biome-ignore lint/suspicious/noControlCharactersInRegex: no file's name may have them
const UNSAFE = /[\u0000-\u001f\u007f-\u009f/\\:*?"<>|\u2028-\u202e\u2066-\u2069]/g;

/**
 * What a download is called: the batch's name, else that of its file, else its id, made safe for every file system,
 * and what it is.
 */
export function downloadName({ id, source }: BatchRecord, name: string | null, what: string): string {
  const file = source.filename?.replace(/^.*[/\\]/, '').replace(/(\.(csv|tsv|txt|json|jsonl|ndjson|gz))+$/i, '');
  const given = [name, file].map((text) => safe(text ?? '')).find((text) => text !== '');
  return `${given ?? id}-${what}`;
}

function safe(text: string): string {
  const clean = text.toWellFormed().normalize('NFC').replaceAll(UNSAFE, '_').trim();
  return [...clean].slice(0, MOST).join('').replace(/^\.+/, '').trim();
}
