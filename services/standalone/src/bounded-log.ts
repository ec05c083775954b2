import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** A log file that cannot fill a disk. */
export interface BoundedLog {
  /** Appends a line. A disk that is full, or gone, loses the line and nothing else. */
  write(line: string): void;
  close(): void;
}

/**
 * Appends to a file; when it would grow over `maxBytes`, what it holds becomes `<file>.1`, in place of the one that
 * was there. So the two take at most twice as much.
 */
export function createBoundedLog({ file, maxBytes = 10 * 1024 ** 2 }: { file: string; maxBytes?: number }): BoundedLog {
  mkdirSync(dirname(file), { recursive: true });
  const open = () => openSync(file, 'a', 0o600);
  let descriptor: number | undefined = open();
  let size = fstatSync(descriptor).size;
  return {
    write: (line) => {
      if (descriptor === undefined) return;
      const bytes = Buffer.from(`${line}\n`);
      try {
        if (size > 0 && size + bytes.length > maxBytes) {
          closeSync(descriptor);
          renameSync(file, `${file}.1`);
          descriptor = open();
          size = 0;
        }
        size += writeSync(descriptor, bytes);
      } catch {
        // A service must not stop because its log cannot be kept.
      }
    },
    close: () => {
      if (descriptor !== undefined) closeSync(descriptor);
      descriptor = undefined;
    },
  };
}
