import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { finished } from 'node:stream/promises';
import { batchFolder, checksumsKey } from '@renderyard/shared/batch/batch-layout';
import type { BatchManifest } from '@renderyard/shared/batch/manifest';
import type { Image } from '@renderyard/shared/job/job';
import type { ObjectBody } from '@renderyard/shared/store/store';

/** The checksums of a batch's images as they are gathered, in a file: there may be more than memory should hold. */
export interface ChecksumFile extends AsyncDisposable {
  add(images: readonly Image[]): Promise<void>;
  /** Ends the file. */
  end(): Promise<{ readonly body: ObjectBody; readonly about: BatchManifest['checksums'] }>;
}

/** Writes lines as `sha256sum -c` reads them in the batch's folder. The file goes when it is disposed of. */
export async function createChecksumFile(path: string, batch: string): Promise<ChecksumFile> {
  /** The one line that an operator sees of it: the batch waits for a place to gather them. */
  const explain = (error: Error) =>
    new Error(
      `The checksums of ${batch} cannot be gathered in DATA_DIR (${path}): ${error.message}. Make room, or let the worker's user write there.`,
      { cause: error },
    );
  await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch((error: Error) => {
    throw explain(error);
  });
  const file = createWriteStream(path, { mode: 0o600 });
  // Errors are thrown by `add` and `end`; without a listener one in between would end the process.
  let failure: Error | undefined;
  file.on('error', (error) => {
    failure = error;
  });
  const hash = createHash('sha256');
  let [bytes, images] = [0, 0];
  return {
    async add(more) {
      let text = '';
      for (const { key, sha256 } of more) text += `${sha256}  ${key.slice(batchFolder(batch).length)}\n`;
      const lines = Buffer.from(text);
      hash.update(lines);
      bytes += lines.length;
      images += more.length;
      await new Promise<void>((resolve, reject) => {
        // A stream that has failed answers later writes with an error of its own.
        file.write(lines, (error) => (error ? reject(explain(failure ?? error)) : resolve()));
      });
    },
    async end() {
      if (failure !== undefined) throw explain(failure);
      file.end();
      await finished(file).catch((error: Error) => {
        throw explain(error);
      });
      return {
        body: bytes === 0 ? Buffer.alloc(0) : { path, bytes },
        about: { key: checksumsKey(batch), images, bytes, sha256: hash.digest('hex') },
      };
    },
    async [Symbol.asyncDispose]() {
      file.destroy();
      await rm(path, { force: true });
    },
  };
}
