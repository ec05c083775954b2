/** A list that keeps its newest entries within two bounds. Entries have numbers from 1 up, without gaps. */
export interface BoundedLog<T> {
  /** Adds an entry; returns its number. The oldest ones are dropped to stay within the bounds. */
  push(make: (seq: number) => T): T;
  /** Says that a kept entry takes this many more bytes than when it was added. */
  grew(seq: number, bytes: number): void;
  /** At most `limit` entries with numbers above `after`, in order. */
  page(after: number, limit: number): readonly T[];
  /** The newest entry that fits, searched from the newest back. */
  find(fits: (entry: T) => boolean): T | undefined;
  /** The number of the newest entry, 0 when there never was one. */
  last(): number;
  /** How many entries were dropped. */
  dropped(): number;
}

/**
 * @param options.entries the most entries that are kept.
 * @param options.bytes the most memory that entries may take, as `sizeOf` estimates it.
 */
export function createBoundedLog<T>(options: {
  readonly entries: number;
  readonly bytes: number;
  readonly sizeOf: (entry: T) => number;
}): BoundedLog<T> {
  const slots: (T | undefined)[] = [];
  let start = 0; // index in `slots` of the oldest entry
  let dropped = 0;
  let bytes = 0;

  const dropOldest = () => {
    const oldest = slots[start];
    if (oldest !== undefined) bytes -= options.sizeOf(oldest);
    slots[start] = undefined;
    start += 1;
    dropped += 1;
    if (start > 1024 && start > slots.length / 2) {
      slots.splice(0, start);
      start = 0;
    }
  };

  const keepWithin = () => {
    while (slots.length - start > 1 && (slots.length - start > options.entries || bytes > options.bytes)) dropOldest();
  };

  return {
    push: (make) => {
      const entry = make(dropped + slots.length - start + 1);
      slots.push(entry);
      bytes += options.sizeOf(entry);
      keepWithin();
      return entry;
    },
    grew: (seq, more) => {
      if (seq <= dropped) return;
      bytes += more;
      keepWithin();
    },
    page: (after, limit) => {
      const from = start + Math.max(0, after - dropped);
      return slots.slice(from, from + limit).filter((entry) => entry !== undefined);
    },
    find: (fits) => {
      for (let i = slots.length - 1; i >= start; i--) {
        const entry = slots[i];
        if (entry !== undefined && fits(entry)) return entry;
      }
      return undefined;
    },
    last: () => dropped + slots.length - start,
    dropped: () => dropped,
  };
}
