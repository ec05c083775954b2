/** One bit a row, as Redis's SETBIT orders them: row r is bit (r − 1) % 8 from the left of byte (r − 1) / 8. */
export interface RowBits {
  readonly bytes: Uint8Array;
  has(row: number): boolean;
  add(row: number): void;
  drop(row: number): void;
}

/** @param rows the highest row that there is. Rows outside of 1 to `rows` are the caller's to keep away. */
export function createRowBits(rows: number): RowBits {
  const bytes = new Uint8Array(Math.ceil(rows / 8));
  const mask = (row: number) => 0x80 >> ((row - 1) & 7);
  const at = (row: number) => (row - 1) >> 3;
  return {
    bytes,
    has: (row) => ((bytes[at(row)] ?? 0) & mask(row)) !== 0,
    add: (row) => {
      bytes[at(row)] = (bytes[at(row)] ?? 0) | mask(row);
    },
    drop: (row) => {
      bytes[at(row)] = (bytes[at(row)] ?? 0) & ~mask(row);
    },
  };
}
