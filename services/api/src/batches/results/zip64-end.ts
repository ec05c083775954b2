/** What the field for the number of files of a zip's plain end record can hold; there the one of zip64 is looked at. */
const FULL_16 = 0xffff;
const FULL_32 = 0xffffffff;

/**
 * The end records of zip64, which client-zip 2.5.1 leaves out of a zip of 65,535 files or more whose bytes are less than
 * 4 GiB: some readers then see the first 65,535 files only, and say nothing. Not needed any more once it writes them.
 * @param end the plain end record, the last piece of the zip.
 * @returns what belongs before it (PKWARE's APPNOTE, 4.3.14 and 4.3.15); nothing where nothing is missing.
 */
export function missingZip64End(end: Uint8Array, files: number): Uint8Array {
  const plain = new DataView(end.buffer, end.byteOffset, end.byteLength);
  const bytes = plain.getUint32(12, true);
  const offset = plain.getUint32(16, true);
  if (files < FULL_16 || offset === FULL_32) return new Uint8Array(0);
  const made = new DataView(new ArrayBuffer(76));
  made.setUint32(0, 0x06064b50, true);
  made.setBigUint64(4, 44n, true);
  // Made by and readable from version 4.5.
  made.setUint16(12, 45, true);
  made.setUint16(14, 45, true);
  made.setBigUint64(24, BigInt(files), true);
  made.setBigUint64(32, BigInt(files), true);
  made.setBigUint64(40, BigInt(bytes), true);
  made.setBigUint64(48, BigInt(offset), true);
  made.setUint32(56, 0x07064b50, true);
  made.setBigUint64(64, BigInt(offset) + BigInt(bytes), true);
  made.setUint32(72, 1, true);
  return new Uint8Array(made.buffer);
}
