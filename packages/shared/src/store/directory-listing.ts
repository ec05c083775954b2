import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { unless } from './directory-folders.ts';
import { compareEntries, isPiece, type LayoutOptions, namesOfSegment, segmentOfNames } from './directory-layout.ts';
import type { Root } from './directory-root.ts';
import { compareKeys } from './object-key.ts';

/** How many names of one folder are held at a time: some 10 MB. A larger folder is read again for each that many. */
const WINDOW = 50_000;

interface Entry {
  readonly path: string;
  readonly folder: boolean;
  /** The segment of the key, with a "/" behind that of a folder. */
  readonly sortsAs: string;
}

export interface ListingOptions {
  readonly prefix: string;
  readonly after?: string | undefined;
  readonly window?: number;
}

type Walk = ListingOptions & LayoutOptions;

/**
 * The keys below a root that begin with the prefix and sort after `after`, in the order of `compareKeys`, each with
 * the path of its file. Folders that can have none of them are not read.
 */
export async function* listKeys(
  root: Pick<Root, 'path' | 'folders' | 'layout'>,
  given: ListingOptions,
): AsyncGenerator<{ key: string; path: string }> {
  const options = { ...given, ...root.layout };
  const folder = options.prefix.slice(0, options.prefix.lastIndexOf('/') + 1);
  const names = folder
    .split('/')
    .slice(0, -1)
    .flatMap((segment) => namesOfSegment(segment, true, options));
  const path = join(root.path, ...names);
  if (await root.folders.exists(path)) yield* walk(path, folder, options);
}

async function* walk(path: string, parent: string, options: Walk): AsyncGenerator<{ key: string; path: string }> {
  const wanted = (entry: Entry) => isWanted(parent + entry.sortsAs, entry.folder, options);
  for await (const entry of sortedEntries(path, wanted, options)) {
    const key = parent + entry.sortsAs;
    if (entry.folder) yield* walk(entry.path, key, options);
    else yield { key, path: entry.path };
  }
}

function isWanted(key: string, folder: boolean, { prefix, after }: Walk): boolean {
  const under = key.startsWith(prefix) || (folder && prefix.startsWith(key));
  const later = after === undefined || compareKeys(key, after) > 0 || (folder && after.startsWith(key));
  return under && later;
}

/** The entries of a folder in order, a window of the smallest at a time. */
async function* sortedEntries(path: string, wanted: (entry: Entry) => boolean, options: Walk): AsyncGenerator<Entry> {
  const window = options.window ?? WINDOW;
  let last: Entry | undefined;
  for (;;) {
    const entries: Entry[] = [];
    let cut = false;
    const keepSmallest = () => {
      entries.sort(compareEntries);
      if (entries.length > window) {
        entries.length = window;
        cut = true;
      }
    };
    for await (const entry of entriesOf(path, [], options)) {
      if ((last !== undefined && compareEntries(entry, last) <= 0) || !wanted(entry)) continue;
      entries.push(entry);
      if (entries.length === 2 * window) keepSmallest();
    }
    keepSmallest();
    yield* entries;
    if (!cut) return;
    last = entries.at(-1);
  }
}

/** The entries of a folder in no order, with names that were cut put together again. What is not ours is left out. */
async function* entriesOf(path: string, pieces: readonly string[], options: LayoutOptions): AsyncGenerator<Entry> {
  const folder = await opendir(path).catch(unless('ENOENT', 'ENOTDIR'));
  if (folder === undefined) return;
  for await (const entry of folder) {
    // Links are neither files nor folders here, so they are not followed.
    if (entry.name.startsWith('.') || !(entry.isFile() || entry.isDirectory())) continue;
    const names = [...pieces, entry.name];
    const at = join(path, entry.name);
    if (entry.isDirectory() && isPiece(entry.name)) yield* entriesOf(at, names, options);
    else {
      const segment = segmentOfNames(names, entry.isDirectory(), options);
      if (segment === undefined) continue;
      yield { path: at, folder: entry.isDirectory(), sortsAs: entry.isDirectory() ? `${segment}/` : segment };
    }
  }
}
