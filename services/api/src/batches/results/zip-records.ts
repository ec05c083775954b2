/** A file of a zip, whose bytes are known before they are written. */
export interface ZipEntry {
  /** With `/` between folders, none at its begin. */
  readonly name: string;
  readonly bytes: number;
  readonly crc32: number;
  /** Milliseconds since 1970. */
  readonly modifiedAt: number;
}

/*
 * The records of a zip as PKWARE's APPNOTE 6.3.10 (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT) has
 * them, for files that are stored as they are. Sizes and checksum stand before the data, not behind it: readers that go
 * through a zip as a stream cannot find the end of a stored file otherwise.
 */

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
/** Of the fields that have no room for the number: it stands in the record of zip64. */
const FULL_16 = 0xffff;
const FULL_32 = 0xffffffff;
/** Names are UTF-8 (APPNOTE, 4.4.4, bit 11). */
const UTF8 = 0x0800;
const VERSION_20 = 20;
const VERSION_ZIP64 = 45;
/** Made on Unix, so that the permissions below are read. */
const MADE_ON_UNIX = 3 << 8;
/** A plain file, rw-r--r--. */
const PLAIN_FILE = (0o100644 << 16) >>> 0;
const EXTRA_ZIP64 = 0x0001;
/** Info-ZIP's "extended timestamp": seconds since 1970, in UTC, which the format's own field cannot tell. */
const EXTRA_TIME = 0x5455;

/** What stands before the data of a file. */
export function localHeader(entry: ZipEntry): Buffer {
  const name = Buffer.from(entry.name);
  const large = entry.bytes >= FULL_32;
  const extra = Buffer.concat([large ? extra64([entry.bytes, entry.bytes]) : Buffer.alloc(0), timeExtra(entry)]);
  const head = Buffer.alloc(30);
  head.writeUInt32LE(LOCAL, 0);
  writeCommon(head, 4, entry, large);
  head.writeUInt16LE(name.length, 26);
  head.writeUInt16LE(extra.length, 28);
  return Buffer.concat([head, name, extra]);
}

/** The record of a file in the directory at the end. @param offset of its local header. */
export function centralRecord(entry: ZipEntry, offset: number): Buffer {
  const name = Buffer.from(entry.name);
  const large = entry.bytes >= FULL_32;
  const far = offset >= FULL_32;
  const numbers = [...(large ? [entry.bytes, entry.bytes] : []), ...(far ? [offset] : [])];
  const extra = Buffer.concat([numbers.length > 0 ? extra64(numbers) : Buffer.alloc(0), timeExtra(entry)]);
  const head = Buffer.alloc(46);
  head.writeUInt32LE(CENTRAL, 0);
  head.writeUInt16LE(MADE_ON_UNIX | VERSION_ZIP64, 4);
  writeCommon(head, 6, entry, large || far);
  head.writeUInt16LE(name.length, 28);
  head.writeUInt16LE(extra.length, 30);
  head.writeUInt32LE(PLAIN_FILE, 38);
  head.writeUInt32LE(far ? FULL_32 : offset, 42);
  return Buffer.concat([head, name, extra]);
}

/** The end of a zip, with what zip64 needs where its numbers are too large for the plain one. */
export function endRecords({
  entries,
  offset,
  bytes,
}: {
  readonly entries: number;
  /** Of the directory. */
  readonly offset: number;
  /** Of the directory. */
  readonly bytes: number;
}): Buffer {
  const end = Buffer.alloc(22);
  end.writeUInt32LE(END, 0);
  end.writeUInt16LE(Math.min(entries, FULL_16), 8);
  end.writeUInt16LE(Math.min(entries, FULL_16), 10);
  end.writeUInt32LE(Math.min(bytes, FULL_32), 12);
  end.writeUInt32LE(Math.min(offset, FULL_32), 16);
  if (entries < FULL_16 && bytes < FULL_32 && offset < FULL_32) return end;
  const end64 = Buffer.alloc(56);
  end64.writeUInt32LE(END64, 0);
  writeUInt64(end64, 44, 4);
  end64.writeUInt16LE(MADE_ON_UNIX | VERSION_ZIP64, 12);
  end64.writeUInt16LE(VERSION_ZIP64, 14);
  writeUInt64(end64, entries, 24);
  writeUInt64(end64, entries, 32);
  writeUInt64(end64, bytes, 40);
  writeUInt64(end64, offset, 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(LOCATOR64, 0);
  writeUInt64(locator, offset + bytes, 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([end64, locator, end]);
}

/** From "version needed" to "uncompressed size", which the local and the central header have alike. */
function writeCommon(head: Buffer, at: number, { bytes, crc32, modifiedAt }: ZipEntry, zip64: boolean): void {
  const size = Math.min(bytes, FULL_32);
  head.writeUInt16LE(zip64 ? VERSION_ZIP64 : VERSION_20, at);
  head.writeUInt16LE(UTF8, at + 2);
  // Method 0: stored.
  head.writeUInt16LE(0, at + 4);
  head.writeUInt32LE(dosTime(modifiedAt), at + 6);
  head.writeUInt32LE(crc32, at + 10);
  head.writeUInt32LE(size, at + 14);
  head.writeUInt32LE(size, at + 18);
}

/** Date and time as MS-DOS had them: to two seconds, from 1980 to 2107, without a time zone; ours are UTC. */
function dosTime(ms: number): number {
  const date = new Date(Math.min(Math.max(ms, Date.UTC(1980, 0)), Date.UTC(2107, 11, 31)));
  const day = ((date.getUTCFullYear() - 1980) << 9) | ((date.getUTCMonth() + 1) << 5) | date.getUTCDate();
  const time = (date.getUTCHours() << 11) | (date.getUTCMinutes() << 5) | (date.getUTCSeconds() >> 1);
  return ((day << 16) | time) >>> 0;
}

function timeExtra({ modifiedAt }: ZipEntry): Buffer {
  const extra = Buffer.alloc(9);
  extra.writeUInt16LE(EXTRA_TIME, 0);
  extra.writeUInt16LE(5, 2);
  // Bit 0: the time of modification follows.
  extra.writeUInt8(1, 4);
  extra.writeInt32LE(Math.min(Math.max(Math.floor(modifiedAt / 1000), 0), 0x7fffffff), 5);
  return extra;
}

function extra64(numbers: readonly number[]): Buffer {
  const extra = Buffer.alloc(4 + 8 * numbers.length);
  extra.writeUInt16LE(EXTRA_ZIP64, 0);
  extra.writeUInt16LE(8 * numbers.length, 2);
  for (const [index, number] of numbers.entries()) writeUInt64(extra, number, 4 + 8 * index);
  return extra;
}

function writeUInt64(buffer: Buffer, value: number, at: number): void {
  buffer.writeBigUInt64LE(BigInt(value), at);
}
