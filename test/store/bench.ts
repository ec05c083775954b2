import type { ObjectSummary, Store } from '@renderyard/shared/store/store';

/** A store of its own for one test, and a way to follow its links over HTTP. */
export interface Bench extends AsyncDisposable {
  readonly store: Store;
  follow(link: string, init?: RequestInit): Promise<Response>;
}

/** Reads an object whole. @throws {Error} if there is none. */
export async function readAll(store: Store, key: string): Promise<Buffer> {
  const object = await store.get(key);
  if (object === undefined) throw new Error(`There is no object ${key}.`);
  return Buffer.concat(await object.body.toArray());
}

export async function listAll(store: Store, ...args: Parameters<Store['list']>): Promise<ObjectSummary[]> {
  const objects: ObjectSummary[] = [];
  for await (const object of store.list(...args)) objects.push(object);
  return objects;
}

export async function listKeysOf(store: Store, ...args: Parameters<Store['list']>): Promise<string[]> {
  return (await listAll(store, ...args)).map(({ key }) => key);
}

/** Runs `work` for each item, a few at a time. */
export async function inParallel<T>(items: readonly T[], width: number, work: (item: T) => Promise<unknown>) {
  const rest = items.values();
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of rest) await work(item);
    }),
  );
}
