import { makeZip } from 'client-zip';
import { missingZip64End } from './zip64-end.ts';

/** rw-r--r-- */
const MODE = 0o644;
/** Smaller pieces are joined until they have this many bytes: those of a zip's directory have some 50 each. */
const JOINED_BYTES = 16 * 1024;

/** A file to be packed, and how its bytes are read. */
export interface ZipFile {
  /** With `/` between folders, none at its begin. */
  readonly name: string;
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly modifiedAt: number;
  /** Exactly `bytes` bytes. */
  read(): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

/**
 * Packs files into a zip as they come, uncompressed, in pieces as they are to be sent; the next file is asked for when the
 * one before has been taken. Only the directory of the zip grows, in memory, until the zip is made or left: about 500 bytes
 * a file. Times are those of the server's time zone. Sizes and checksums stand behind the bytes and in the directory: what
 * reads a zip as a stream, without its directory, may refuse it, as Java's ZipInputStream does.
 * @throws {Error} when a file has another length than was said; whatever reading one throws.
 */
export async function* zipStream(files: AsyncIterable<ZipFile>): AsyncGenerator<Uint8Array> {
  let small: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of zipPieces(files)) {
    const isLarge = piece.length >= JOINED_BYTES;
    if (!isLarge) {
      small.push(piece);
      bytes += piece.length;
      if (bytes < JOINED_BYTES) continue;
    }
    if (bytes > 0) yield Buffer.concat(small);
    small = [];
    bytes = 0;
    if (isLarge) yield piece;
  }
  if (bytes > 0) yield Buffer.concat(small);
}

/** The zip as client-zip makes it, and what that leaves out of its end. */
async function* zipPieces(files: AsyncIterable<ZipFile>): AsyncGenerator<Uint8Array> {
  let count = 0;
  async function* entries() {
    for await (const file of files) {
      count++;
      const input = bytesOf(file);
      try {
        yield { name: file.name, input, lastModified: new Date(file.modifiedAt), size: file.bytes, mode: MODE };
      } finally {
        // Of a zip that is left, or fails: whatever the file is read from is closed.
        await input.return(undefined);
      }
    }
  }
  const source = entries();
  const pieces = piecesOf(makeZip(source));
  let last: Uint8Array = new Uint8Array(0);
  try {
    for await (const piece of pieces) {
      yield last;
      last = piece;
    }
    // The end record is a piece of its own.
    yield missingZip64End(last, count);
    yield last;
  } finally {
    await source.return(undefined);
  }
}

async function* bytesOf({ name, bytes, read }: ZipFile): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let sent = 0;
  for await (const chunk of read()) {
    sent += chunk.length;
    yield chunk as Uint8Array<ArrayBuffer>;
  }
  if (sent !== bytes) throw new Error(`${name} has ${sent} bytes, not ${bytes} as was said.`);
}

/** The pieces of a stream, which is canceled when they are left. Canceling makes client-zip throw into its source. */
async function* piecesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
