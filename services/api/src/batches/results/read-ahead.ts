/**
 * Reads items 0 to `count` − 1 in order, the next one while the last one is used: two are in memory at a time.
 * @throws whatever `read` throws, and the reason of the signal once it aborts, if there is one.
 */
export async function* readAhead<T>(
  count: number,
  read: (index: number) => Promise<T>,
  signal?: AbortSignal,
): AsyncGenerator<T> {
  const start = (index: number) => {
    const reading = index < count ? read(index) : undefined;
    // It may fail while nobody waits for it yet; whoever does is told.
    reading?.catch(() => undefined);
    return reading;
  };
  let next = start(0);
  for (let index = 0; next !== undefined; index++) {
    const item = await next;
    signal?.throwIfAborted();
    next = start(index + 1);
    yield item;
  }
}
