import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { SLICE_BYTES } from './limits.ts';

/** A file on disk for the file of a form, whose fields may come after it. */
export interface FormSpool {
  write(bytes: Buffer): Promise<void>;
  /** What was written, from its beginning. */
  read(): AsyncIterable<Buffer>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Makes a spool file in `folder`. It loses its name at once, so that whatever happens to this process, its space is free
 * as soon as it is closed.
 */
export async function openFormSpool(folder: string): Promise<FormSpool> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${randomUUID()}.upload`);
  const file: FileHandle = await open(path, 'wx+', 0o600);
  await unlink(path);
  let length = 0;
  return {
    async write(bytes) {
      for (let at = 0; at < bytes.length; ) {
        const { bytesWritten } = await file.write(bytes, at, bytes.length - at, length);
        at += bytesWritten;
        length += bytesWritten;
      }
    },
    async *read() {
      for (let at = 0; at < length; ) {
        // A new buffer for each: who reads keeps parts of them.
        const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(SLICE_BYTES), 0, SLICE_BYTES, at);
        if (bytesRead === 0) return;
        at += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}
