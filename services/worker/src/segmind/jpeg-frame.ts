import { open } from 'node:fs/promises';

/** Segments are at most 64 KiB; more than this many before the frame make no image of a size that we take. */
const MOST_SEGMENTS = 20_000;

/** SOI and an empty APP0: image-size takes it for granted that a segment comes before the frame. */
const BEGINNING = Buffer.from('ffd8ffe00002', 'hex');

/**
 * Finds the frame header of a large JPEG, which holds its dimensions and may lie behind megabytes of metadata, by
 * stepping from marker to marker (ITU-T T.81, B.1.1.2): a few bytes of each segment are read, not the file.
 * @returns the shortest JPEG that has this frame: its beginning and the frame header; undefined where there is none.
 */
export async function readJpegFrame(path: string): Promise<Uint8Array | undefined> {
  const file = await open(path);
  try {
    const marker = Buffer.alloc(4);
    let position = 2;
    for (let i = 0; i < MOST_SEGMENTS; i++) {
      const { bytesRead } = await file.read(marker, 0, 4, position);
      if (bytesRead < 4 || marker[0] !== 0xff) return undefined;
      const kind = marker[1] ?? 0;
      const length = marker.readUInt16BE(2);
      if (kind === 0xff) position += 1;
      else if (isFrame(kind)) {
        const segment = Buffer.alloc(length + 2);
        await file.read(segment, 0, segment.length, position);
        return Buffer.concat([BEGINNING, segment]);
      } else if (kind === 0xda || kind === 0xd9) return undefined;
      else position += 2 + length;
    }
    return undefined;
  } finally {
    await file.close();
  }
}

/** SOF0 to SOF15, without DHT, JPG and DAC, which stand between them. */
function isFrame(kind: number): boolean {
  return kind >= 0xc0 && kind <= 0xcf && kind !== 0xc4 && kind !== 0xc8 && kind !== 0xcc;
}
