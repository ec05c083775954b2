import { fromBuffer, type ZipFile } from 'yauzl';

/** The files of a zip by their names. */
export async function readZip(zip: Uint8Array): Promise<ReadonlyMap<string, Uint8Array>> {
  const opened = await new Promise<ZipFile>((resolve, reject) => {
    fromBuffer(Buffer.from(zip), { lazyEntries: true }, (error, file) =>
      file === undefined ? reject(error) : resolve(file),
    );
  });
  const files = new Map<string, Uint8Array>();
  return new Promise((resolve, reject) => {
    opened.on('error', reject);
    opened.on('end', () => resolve(files));
    opened.on('entry', (entry) => {
      opened.openReadStream(entry, (error, stream) => {
        if (stream === undefined) return reject(error);
        stream.toArray().then((pieces) => {
          files.set(entry.fileName, Buffer.concat(pieces));
          opened.readEntry();
        }, reject);
      });
    });
    opened.readEntry();
  });
}
