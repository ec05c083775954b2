import type { BigIntStats } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { unless } from './directory-folders.ts';
import { StoreError } from './store-error.ts';

/** What is known of one version of an object and cannot be seen in its file. */
export interface Sidecar {
  readonly key: string;
  readonly version: string;
  readonly contentType: string;
  readonly cacheControl?: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * What tells one version of an object from another: its length and its time of modification, to the nanosecond. A
 * sidecar belongs to one version, by its name, so that object and metadata change in the same instant, when the object
 * is renamed into place; a copy with `cp -a` or rsync keeps them together, and a file that was edited loses metadata
 * that is true of it no longer.
 */
export function versionOf(stats: Pick<BigIntStats, 'mtimeNs' | 'size'>): string {
  return `${stats.mtimeNs.toString(36)}-${stats.size.toString(36)}`;
}

/**
 * The time that a new version is given, in seconds: now, with a fraction of a millisecond drawn by chance, so that two
 * writers in the same moment make different versions.
 */
export function versionTime(nowMs: number): number {
  return (Math.floor(nowMs) + Math.random()) / 1000;
}

/** @returns undefined where this version has no sidecar: what it would say follows from the key. */
export async function readSidecar(path: string): Promise<Sidecar | undefined> {
  const text = await readFile(path, 'utf8').catch(unless('ENOENT'));
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as Sidecar;
  } catch (error) {
    throw new StoreError('unavailable', `The metadata in ${path} cannot be read: it is no JSON.`, { cause: error });
  }
}

const TYPES: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
  gif: 'image/gif',
  avif: 'image/avif',
  json: 'application/json',
  ndjson: 'application/x-ndjson',
  csv: 'text/csv',
  txt: 'text/plain',
  zip: 'application/zip',
};

/** The content type that a key's extension stands for; it needs no sidecar. */
export function typeOfKey(key: string): string {
  const extension = /\.([a-z0-9]+)$/i.exec(key)?.[1]?.toLowerCase() ?? '';
  return TYPES[extension] ?? 'application/octet-stream';
}
