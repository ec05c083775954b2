import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Bodies up to this many bytes stay in memory; what is larger goes to a file, so that a worker needs slots × 8 MiB,
 * however large the images are. An image of 1024×1024 has 0.2–2 MB; only large PNGs pass this.
 */
export const MEMORY_BYTES = 8 * 1024 * 1024;
/** How much of a large body's beginning is kept at hand to verify it: the dimensions lie behind a JPEG's metadata. */
const HEAD_BYTES = 512 * 1024;
/** How much of its end. */
const TAIL_BYTES = 4096;

/** A body that was read to some point, with what is needed to judge it. */
export interface SpooledBody {
  readonly body: Uint8Array | { readonly path: string; readonly bytes: number };
  readonly bytes: number;
  readonly sha256: string;
  /** The first bytes, at least 512 KiB where there are as many. */
  readonly head: Uint8Array;
  /** The last bytes, at least 4 KiB where there are as many. */
  readonly tail: Uint8Array;
  discard(): Promise<void>;
}

export interface Spool {
  /** Takes a chunk. @returns false once more than the cap came; the chunk was not taken. */
  write(chunk: Uint8Array): Promise<boolean>;
  /** Ends the body. */
  end(): Promise<SpooledBody>;
  /** Gives up: frees memory and removes the file. */
  discard(): Promise<void>;
}

/**
 * Collects one body through a hash and a cap.
 * @param folder where large bodies go; made when it is missing
 * @param name of the file, unique
 * @param cap bytes at most
 * @param expected the length that was announced, if any; memory is taken at once for it, never more than {@link MEMORY_BYTES}
 */
export function createSpool({
  folder,
  name,
  cap,
  expected,
}: {
  readonly folder: string;
  readonly name: string;
  readonly cap: number;
  readonly expected: number | undefined;
}): Spool {
  const hash = createHash('sha256');
  let memory =
    expected !== undefined && expected <= Math.min(MEMORY_BYTES, cap)
      ? Buffer.allocUnsafeSlow(expected)
      : Buffer.allocUnsafeSlow(64 * 1024);
  let bytes = 0;
  let head: Buffer | undefined;
  let tail = Buffer.alloc(0);
  let file: FileHandle | undefined;
  let spilled = false;
  let diskFailed = false;
  const path = join(folder, name);

  const toMemory = (chunk: Uint8Array) => {
    if (bytes + chunk.length > memory.length) {
      const larger = Buffer.allocUnsafeSlow(
        Math.min(diskFailed ? cap : MEMORY_BYTES, Math.max(memory.length * 2, bytes + chunk.length)),
      );
      memory.copy(larger, 0, 0, bytes);
      memory = larger;
    }
    memory.set(chunk, bytes);
  };

  const toFile = async (chunk: Uint8Array) => {
    if (file === undefined) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      file = await open(path, 'wx', 0o600);
      await file.writeFile(memory.subarray(0, bytes));
      tail = Buffer.from(memory.subarray(Math.max(0, bytes - TAIL_BYTES), bytes));
      head = Buffer.from(memory.subarray(0, Math.min(bytes, HEAD_BYTES)));
      memory = Buffer.alloc(0);
      spilled = true;
    }
    await file.writeFile(chunk);
    if (head !== undefined && head.length < HEAD_BYTES)
      head = Buffer.concat([head, chunk.subarray(0, HEAD_BYTES - head.length)]);
    tail = Buffer.concat([tail, chunk.subarray(-TAIL_BYTES)]).subarray(-TAIL_BYTES);
  };

  /** A disk that is full is no reason to lose what was paid for: the body goes on in memory. */
  const backToMemory = async () => {
    diskFailed = true;
    if (spilled) {
      memory = Buffer.allocUnsafeSlow(Math.min(cap, bytes + MEMORY_BYTES));
      await file?.read(memory, 0, bytes, 0);
    }
    const failed = file;
    file = undefined;
    await failed?.close().catch(() => undefined);
    if (failed !== undefined) await rm(path, { force: true }).catch(() => undefined);
  };

  const discard = async () => {
    memory = Buffer.alloc(0);
    const open = file;
    file = undefined;
    if (open === undefined) return;
    await open.close().catch(() => undefined);
    await rm(path, { force: true });
  };

  return {
    async write(chunk) {
      if (bytes + chunk.length > cap) return false;
      hash.update(chunk);
      if (diskFailed || (file === undefined && bytes + chunk.length <= MEMORY_BYTES)) toMemory(chunk);
      else {
        try {
          await toFile(chunk);
        } catch {
          await backToMemory();
          toMemory(chunk);
        }
      }
      bytes += chunk.length;
      return true;
    },
    async end() {
      const sha256 = hash.digest('hex');
      if (file === undefined) {
        const body = memory.subarray(0, bytes);
        return { body, bytes, sha256, head: body, tail: body.subarray(-TAIL_BYTES), discard };
      }
      const opened = file;
      await opened.close();
      return {
        body: { path, bytes },
        bytes,
        sha256,
        head: head ?? Buffer.alloc(0),
        tail: tail.subarray(-TAIL_BYTES),
        discard: () => rm(path, { force: true }),
      };
    },
    discard,
  };
}
