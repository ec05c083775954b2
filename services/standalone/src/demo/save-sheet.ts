import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BatchView, ResultRow } from './batch-view.ts';
import { contactSheet } from './contact-sheet.ts';
import type { DemoClient } from './demo-client.ts';
import { DemoError } from './demo-error.ts';

/** Downloads at a time. */
const AT_ONCE = 4;
/** Code points, so that no name is longer than the 255 bytes that file systems take. */
const LONGEST_NAME = 50;

/** The name of a row's image beside the page: no folder, and nothing that some system does not allow in a name. */
export function pictureName({ row, output }: Pick<ResultRow, 'row' | 'output'>): string {
  const key = output[0]?.key ?? '';
  const last = key.slice(key.lastIndexOf('/') + 1);
  const dot = last.lastIndexOf('.');
  const clean = (text: string) => text.normalize('NFC').replaceAll(/[^\p{L}\p{M}\p{N}_-]+/gu, '_');
  const [name, extension] = dot > 0 ? [last.slice(0, dot), clean(last.slice(dot + 1))] : [last, 'bin'];
  const short = Array.from(clean(name)).slice(0, LONGEST_NAME).join('');
  return `${String(row).padStart(4, '0')}-${short}.${extension}`;
}

/**
 * Downloads the images of a batch into a folder, with a contact sheet that shows them.
 * @param into the folder of all sheets; a folder named after the batch is made in it.
 * @returns the page's path, and how many images could not be had.
 */
export async function saveSheet(options: {
  readonly client: DemoClient;
  readonly batch: BatchView;
  readonly into: string;
  readonly simulated: boolean;
  readonly signal: AbortSignal;
}): Promise<{ readonly page: string; readonly missing: number }> {
  const { client, batch, into, simulated, signal } = options;
  if (!/^bat_[0-9a-z]+$/.test(batch.id)) throw new DemoError(`${JSON.stringify(batch.id)} is no batch's id.`);
  const folder = join(into, batch.id);
  await mkdir(join(folder, 'images'), { recursive: true });
  const rows = await client.results(batch.id);
  const wanted = rows.filter(({ status, output }) => status === 'succeeded' && output.length > 0);
  const pictures = new Map<number, string>();
  const remaining = wanted.values();
  const download = async () => {
    for (const row of remaining) {
      const name = pictureName(row);
      const bytes = await client.image(batch.id, row.row).catch((error: unknown) => {
        signal.throwIfAborted();
        if (error instanceof DemoError) return undefined;
        throw error;
      });
      if (bytes === undefined) continue;
      await writeFile(join(folder, 'images', name), bytes);
      pictures.set(row.row, `images/${name}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, download));
  const page = join(folder, 'index.html');
  await writeFile(`${page}.tmp`, contactSheet({ batch, rows, pictures, simulated }));
  await rename(`${page}.tmp`, page);
  return { page, missing: wanted.length - pictures.size };
}
