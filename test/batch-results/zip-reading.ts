import { Readable } from 'node:stream';
import { type Entry, fromBuffer, fromRandomAccessReader, RandomAccessReader, type ZipFile } from 'yauzl';

/** A file of a zip as yauzl reads it. */
export interface ReadEntry {
  readonly name: string;
  readonly bytes: number;
  readonly crc32: number;
  readonly modifiedAt: number;
  readonly content: Buffer | undefined;
}

/** Reads a zip by its directory, with the contents where they are asked for. */
export async function readZip(
  zip: Buffer | Pieces,
  isWanted: (entry: Entry) => boolean = () => true,
): Promise<ReadEntry[]> {
  const opened = await new Promise<ZipFile>((resolve, reject) => {
    const options = { lazyEntries: true, strictFileNames: true };
    const done = (error: Error | null, file?: ZipFile) => (file === undefined ? reject(error) : resolve(file));
    if (Buffer.isBuffer(zip)) fromBuffer(zip, options, done);
    else fromRandomAccessReader(readerOf(zip), zip.bytes, options, done);
  });
  return new Promise((resolve, reject) => {
    const entries: ReadEntry[] = [];
    const add = async (entry: Entry) => {
      const content = isWanted(entry) ? await contentOf(opened, entry) : undefined;
      const { fileName: name, uncompressedSize: bytes, crc32 } = entry;
      entries.push({ name, bytes, crc32, modifiedAt: entry.getLastModDate().getTime(), content });
      opened.readEntry();
    };
    opened.on('error', reject);
    opened.on('end', () => resolve(entries));
    opened.on('entry', (entry: Entry) => void add(entry).catch(reject));
    opened.readEntry();
  });
}

function contentOf(zip: ZipFile, entry: Entry): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    zip.openReadStream(entry, (error, stream) => {
      if (stream === undefined) return reject(error);
      stream.toArray().then((chunks) => resolve(Buffer.concat(chunks)), reject);
    });
  });
}

/** A zip of more than memory should hold: its pieces, of which many are the same buffer. */
export interface Pieces {
  readonly bytes: number;
  readonly pieces: readonly { readonly at: number; readonly data: Uint8Array }[];
}

export async function collect(zip: AsyncIterable<Uint8Array>): Promise<Pieces> {
  const pieces: { at: number; data: Uint8Array }[] = [];
  let bytes = 0;
  for await (const data of zip) {
    pieces.push({ at: bytes, data });
    bytes += data.length;
  }
  return { bytes, pieces };
}

function readerOf({ pieces }: Pieces): RandomAccessReader {
  // It is abstract in its types only.
  const reader = new (RandomAccessReader as unknown as new () => RandomAccessReader)();
  reader._readStreamForRange = (start: number, end: number) =>
    Readable.from(
      pieces
        .filter(({ at, data }) => at < end && at + data.length > start)
        .map(({ at, data }) => data.subarray(Math.max(0, start - at), Math.min(data.length, end - at))),
      { objectMode: false },
    );
  return reader;
}
