import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';

/** What stays in memory, in bytes: some 20,000 rows of a table. */
const MEMORY_BYTES = 4 * 1024 * 1024;
const READ_BYTES = 256 * 1024;

/** Bytes that are collected to be read once, at the end. */
export interface Spill extends AsyncDisposable {
  readonly bytes: number;
  write(chunk: Buffer): Promise<void>;
  read(): AsyncGenerator<Buffer>;
}

/**
 * Collects bytes in memory, and beyond 4 MiB in a file, so that memory is bounded whatever comes. The file has no name
 * any more as soon as it is open: however the process ends, nothing is left.
 * @param folder where the file goes; made when it is missing.
 */
export function createSpill(folder: string, memoryBytes = MEMORY_BYTES): Spill {
  let held: Buffer[] = [];
  let heldBytes = 0;
  let bytes = 0;
  let file: FileHandle | undefined;

  async function openFile(): Promise<FileHandle> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, `spill-${randomUUID()}`);
    const opened = await open(path, 'wx+', 0o600);
    await unlink(path);
    return opened;
  }

  return {
    get bytes() {
      return bytes;
    },
    async write(chunk) {
      held.push(chunk);
      heldBytes += chunk.length;
      bytes += chunk.length;
      if (heldBytes < memoryBytes) return;
      file ??= await openFile();
      await file.appendFile(Buffer.concat(held));
      held = [];
      heldBytes = 0;
    },
    async *read() {
      const inFile = bytes - heldBytes;
      for (let at = 0; file !== undefined && at < inFile; ) {
        const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, inFile - at));
        const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
        if (bytesRead === 0) throw new Error(`A file in ${folder} ended after ${at} of ${inFile} bytes.`);
        at += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
      yield* held;
    },
    async [Symbol.asyncDispose]() {
      held = [];
      await file?.close();
    },
  };
}
