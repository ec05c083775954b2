/** How far work runs ahead: this many items, and this much of what they weigh, at least one. */
export interface Ahead<T> {
  readonly most: number;
  readonly mostWeight: number;
  weight(item: T): number;
}

/**
 * Does some work for each item of a source, several at a time, and gives what came of it in the order of the source.
 * What is ready is given at once, also while the source takes long to come up with more.
 * @throws whatever the source or the work throws; the work on items behind it may still be running then.
 */
export async function* takeAhead<T, R>(
  source: AsyncIterable<T>,
  { most, mostWeight, weight }: Ahead<T>,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const items = source[Symbol.asyncIterator]();
  const begun: { readonly result: Promise<R>; readonly weight: number }[] = [];
  let held = 0;
  let coming: Promise<IteratorResult<T, unknown>> | undefined;
  let isOver = false;
  const comes = () => {
    coming ??= items.next();
    coming.catch(() => undefined);
    return coming;
  };
  const begin = (item: T) => {
    const result = work(item);
    // It is waited for in its turn, and may fail before.
    result.catch(() => undefined);
    begun.push({ result, weight: weight(item) });
    held += weight(item);
  };
  try {
    for (;;) {
      while (!isOver && begun.length < most && (begun.length === 0 || held < mostWeight)) {
        const ready = begun[0]?.result.then(() => undefined);
        const next = await (ready === undefined ? comes() : Promise.race([ready, comes()]));
        if (next === undefined) break;
        coming = undefined;
        if (next.done === true) isOver = true;
        else begin(next.value);
      }
      const first = begun.shift();
      if (first === undefined) return;
      yield await first.result;
      held -= first.weight;
    }
  } finally {
    await items.return?.();
  }
}
