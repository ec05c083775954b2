import { randomFillSync } from 'node:crypto';
import { createTextHash, type TextHash } from './text-hash.ts';

const FIRST_SLOTS = 1024;
/** A slot holds the two halves of a hash and a line. */
const SLOT = 3;

/** A hash whose key nobody knows. */
export function newTextHash(): TextHash {
  return createTextHash(randomFillSync(new Uint32Array(2)));
}

/** Remembers which texts were there, and in which line each was first. */
export interface SeenTexts {
  /** @returns undefined when the text is new, and remembered from now on; else the line in which it was first. */
  add(text: string, line: number): number | undefined;
}

/**
 * Remembers texts by 64 bits of a hash that only this upload knows the key of, in one open-addressing table: 12 bytes a
 * slot, at most three quarters full, so two million texts take 48 MiB (and 24 MiB more for the moment in which the table
 * grows), whatever their length, and leave nothing for the garbage collector. Two different texts are taken for the same
 * with a chance of n² ∕ 2⁶⁵: one in nine million for an upload of two million rows, one in 900 billion for one of 6,000.
 */
export function createSeenTexts(hash: TextHash = newTextHash()): SeenTexts {
  let mask = FIRST_SLOTS - 1;
  let slots = new Uint32Array(FIRST_SLOTS * SLOT);
  let used = 0;

  /** The place of the slot that holds the hash, or of the free one where it belongs. */
  function find(table: Uint32Array, high: number, low: number): number {
    let slot = low & mask;
    for (;;) {
      const at = slot * SLOT;
      if (table[at + 2] === 0) return at;
      if (table[at] === high && table[at + 1] === low) return at;
      slot = (slot + 1) & mask;
    }
  }

  function grow(): void {
    const old = slots;
    mask = mask * 2 + 1;
    slots = new Uint32Array((mask + 1) * SLOT);
    for (let at = 0; at < old.length; at += SLOT) {
      if (old[at + 2] === 0) continue;
      const to = find(slots, old[at] as number, old[at + 1] as number);
      slots[to] = old[at] as number;
      slots[to + 1] = old[at + 1] as number;
      slots[to + 2] = old[at + 2] as number;
    }
    // Gives the memory back now: the collector does not see how much it is.
    old.buffer.transfer(0);
  }

  return {
    add(text, line) {
      if (used > (mask + 1) * 0.75) grow();
      hash.of(text);
      const at = find(slots, hash.high(), hash.low());
      const before = slots[at + 2] as number;
      if (before !== 0) return before;
      slots[at] = hash.high();
      slots[at + 1] = hash.low();
      slots[at + 2] = line;
      used++;
      return undefined;
    },
  };
}
