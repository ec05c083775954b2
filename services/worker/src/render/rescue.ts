import { copyFile, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toCredits } from '@renderyard/shared/credits/amount';
import type { Job } from '@renderyard/shared/job/job';
import type { Logger } from '@renderyard/shared/logger';
import type { Store } from '@renderyard/shared/store/store';
import type { AnswerFacts } from '../segmind/outcome.ts';
import type { ReceivedImage } from '../segmind/received-image.ts';
import { placeImage } from './place-image.ts';
import { imageMetadata } from './store-image.ts';

/** Paid images that could not be stored before the worker had to stop. */
export interface Rescue {
  keep(job: Job, call: string, image: ReceivedImage, facts: AnswerFacts): Promise<void>;
  /** Stores what an earlier process kept; several may do so at once. Throws when the store is not there. */
  storeKept(store: Store): Promise<number>;
}

interface Note {
  readonly key: string;
  readonly contentType: string;
  readonly metadata: ReturnType<typeof imageMetadata>;
}

/**
 * Keeps images in a folder: the bytes, and a note of where they belong. The note is written last, by renaming, so a
 * half-written image is never taken for a whole one. Several processes may have the same folder.
 */
export function createRescue({ folder, logger }: { readonly folder: string; readonly logger: Logger }): Rescue {
  async function storeNoted(store: Store, call: string): Promise<void> {
    const path = join(folder, call);
    const noted = () => readFile(`${path}.json`, 'utf8').catch(() => undefined);
    const text = await noted();
    try {
      if (text !== undefined) await storeImageOf(store, call, JSON.parse(text) as Note);
    } catch (error) {
      // Another process was quicker: once its image is stored, the note goes first and then the bytes.
      if ((await noted()) !== undefined) throw error;
    }
  }

  async function storeImageOf(store: Store, call: string, note: Note): Promise<void> {
    const path = join(folder, call);
    const { size } = await stat(path);
    const dot = note.key.lastIndexOf('.');
    const job = { id: note.metadata.job, imageKey: note.key.slice(0, dot) };
    const placed = await placeImage(
      { store, logger },
      { job, call, extension: note.key.slice(dot + 1) },
      { path, bytes: size },
      { contentType: note.contentType, metadata: note.metadata },
    );
    await rm(`${path}.json`, { force: true });
    await rm(path, { force: true });
    const { key } = 'earlier' in placed ? placed.earlier.image : placed;
    logger.info({ key }, 'a paid image that an earlier process had kept on disk is stored');
  }

  async function write(path: string, job: Job, call: string, image: ReceivedImage, facts: AnswerFacts): Promise<void> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    if (image.body instanceof Uint8Array) await writeFile(path, image.body, { flush: true });
    else await copyFile(image.body.path, path);
    const note: Note = {
      key: `${job.imageKey}.${image.extension}`,
      contentType: image.contentType,
      metadata: imageMetadata(job, call, image, facts),
    };
    await writeFile(`${path}.tmp`, JSON.stringify(note), { flush: true });
    await rename(`${path}.tmp`, `${path}.json`);
  }

  return {
    async keep(job, call, image, facts) {
      const path = join(folder, call);
      try {
        await write(path, job, call, image, facts);
      } catch (error) {
        throw new Error(
          `A paid image could not be stored, and cannot be kept in DATA_DIR (${path}) either: ${error instanceof Error ? error.message : String(error)}. Its call counts as uncertain. Make room, or let the worker's user write there.`,
          { cause: error },
        );
      }
      logger.warn(
        { job: job.id, call, cost: facts.cost === undefined ? undefined : toCredits(facts.cost), path },
        'a paid image could not be stored and is kept on disk for the next start',
      );
    },

    async storeKept(store) {
      const notes = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.json'));
      for (const name of notes) await storeNoted(store, name.slice(0, -'.json'.length));
      return notes.length;
    },
  };
}
