interface Digest {
  /** When it may be sent: milliseconds since 1970. */
  readonly due: number;
  /** Of the latest change that it covers. */
  readonly entry: string;
  readonly at: number;
}

/** Which batches have changed since a client was last told of them, and when it may be told again. */
export function createProgressPace({ everyMs }: { readonly everyMs: number }) {
  const pending = new Map<string, Digest>();
  const sent = new Map<string, number>();
  return {
    /** @param now milliseconds since 1970. */
    note(batch: string, { id, at }: { readonly id: string; readonly at: number }, now: number): void {
      const due = pending.get(batch)?.due ?? Math.max(now, (sent.get(batch) ?? 0) + everyMs);
      pending.set(batch, { due, entry: id, at });
    },
    /** A batch that may be told of now. */
    next(now: number): ({ readonly batch: string } & Digest) | undefined {
      for (const [batch, digest] of pending) if (digest.due <= now) return { batch, ...digest };
      return undefined;
    },
    /** The client was told of it. */
    told(batch: string, now: number): void {
      pending.delete(batch);
      for (const [each, at] of sent) if (at + everyMs <= now) sent.delete(each);
      sent.set(batch, now);
    },
    clear: () => pending.clear(),
    get isEmpty() {
      return pending.size === 0;
    },
    /** Milliseconds until the next one is due. */
    wait(now: number): number {
      let least = Number.POSITIVE_INFINITY;
      for (const { due } of pending.values()) least = Math.min(least, due - now);
      return least;
    },
  };
}
