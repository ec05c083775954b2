/** What `load` makes of each item, in order; up to `ahead` are loaded before they are asked for. */
export async function* inOrder<T, R>(
  items: readonly T[],
  ahead: number,
  load: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const loading: Promise<R>[] = [];
  const begin = (item: T) => {
    const one = load(item);
    // It is thrown where it is asked for, which may be later.
    one.catch(() => undefined);
    loading.push(one);
  };
  try {
    let next = 0;
    for (; next < Math.min(ahead, items.length); next++) begin(items[next] as T);
    for (let one = loading.shift(); one !== undefined; one = loading.shift()) {
      const loaded = await one;
      if (next < items.length) begin(items[next++] as T);
      yield loaded;
    }
  } finally {
    await Promise.allSettled(loading);
  }
}
