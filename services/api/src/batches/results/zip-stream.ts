import { createSpill } from './spill.ts';
import { centralRecord, endRecords, localHeader, type ZipEntry } from './zip-records.ts';

/** A file to be packed, and how its bytes are read. */
export interface ZipFile extends ZipEntry {
  /** Exactly `bytes` bytes. */
  read(): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

/**
 * Packs files into a zip as they come, uncompressed, in pieces as they are to be sent. Only the directory of the zip
 * grows, by about 100 bytes a file, and spills to a file in `folder` when it is large.
 * @throws {Error} when a file has another length than was said; whatever reading one throws.
 */
export async function* zipStream(files: AsyncIterable<ZipFile>, folder: string): AsyncGenerator<Uint8Array> {
  await using directory = createSpill(folder);
  let entries = 0;
  let offset = 0;
  for await (const file of files) {
    const header = localHeader(file);
    yield header;
    let sent = 0;
    for await (const chunk of file.read()) {
      sent += chunk.length;
      yield chunk;
    }
    if (sent !== file.bytes) throw new Error(`${file.name} has ${sent} bytes, not ${file.bytes} as was said.`);
    await directory.write(centralRecord(file, offset));
    entries++;
    offset += header.length + sent;
  }
  yield* directory.read();
  yield endRecords({ entries, offset, bytes: directory.bytes });
}
