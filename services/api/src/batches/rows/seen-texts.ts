import { randomFillSync } from 'node:crypto';
import { createTextHash, type TextHash } from './text-hash.ts';

const FIRST_SLOTS = 1024;
/** A slot holds the two halves of a hash, and from LINES on a line for each kind of text; 0 where it was not there. */
const SLOT = 4;
const LINES = 2;

/** A hash whose key nobody knows. */
function newTextHash(): TextHash {
  return createTextHash(randomFillSync(new Uint32Array(2)));
}

/** Remembers which texts were there, and in which line each was first. */
export interface SeenTexts {
  /** @returns undefined when the text is new, and remembered from now on; else the line in which it was first. */
  add(text: string, line: number): number | undefined;
}

/**
 * Remembers ids and keys, apart from each other, by 64 bits of a hash that only this upload knows the key of. Both are in
 * one open-addressing table, since an id is nearly always its own key: 16 bytes a slot, at most three quarters full, so
 * two million texts take 64 MiB (and 32 MiB more for the moment in which the table grows), whatever their length, and
 * leave nothing for the garbage collector. Two different texts are taken for the same with a chance of n² ∕ 2⁶⁵: one in
 * nine million for an upload of two million rows, one in 900 billion for one of 6,000.
 */
export function createSeenIdsAndKeys(): { readonly ids: SeenTexts; readonly keys: SeenTexts } {
  const table = createTable(newTextHash());
  return { ids: table.kind(0), keys: table.kind(1) };
}

function createTable(hash: TextHash) {
  let mask = FIRST_SLOTS - 1;
  let slots = new Uint32Array(FIRST_SLOTS * SLOT);
  let used = 0;

  const isFree = (table: Uint32Array, at: number) => table[at + LINES] === 0 && table[at + LINES + 1] === 0;

  /** The place of the slot that holds the hash, or of the free one where it belongs. */
  function find(table: Uint32Array, high: number, low: number): number {
    let slot = low & mask;
    for (;;) {
      const at = slot * SLOT;
      if (table[at] === high && table[at + 1] === low) return at;
      if (isFree(table, at)) return at;
      slot = (slot + 1) & mask;
    }
  }

  function grow(): void {
    const old = slots;
    mask = mask * 2 + 1;
    slots = new Uint32Array((mask + 1) * SLOT);
    for (let at = 0; at < old.length; at += SLOT) {
      if (isFree(old, at)) continue;
      const to = find(slots, old[at] as number, old[at + 1] as number);
      for (let i = 0; i < SLOT; i++) slots[to + i] = old[at + i] as number;
    }
    // Gives the memory back now: the collector does not see how much it is.
    old.buffer.transfer(0);
  }

  function add(text: string, line: number, kind: number): number | undefined {
    if (used > (mask + 1) * 0.75) grow();
    hash.of(text);
    const at = find(slots, hash.high(), hash.low());
    const before = slots[at + LINES + kind] as number;
    if (before !== 0) return before;
    if (isFree(slots, at)) used++;
    slots[at] = hash.high();
    slots[at + 1] = hash.low();
    slots[at + LINES + kind] = line;
    return undefined;
  }

  return { kind: (kind: 0 | 1): SeenTexts => ({ add: (text, line) => add(text, line, kind) }) };
}
