import { webcrypto } from 'node:crypto';
import { NDJSON } from '@renderyard/shared/batch/batch-files';
import type { Store } from '@renderyard/shared/store/store';

/** Parts on their way to the store at a time: enough for a store far away, and some 10 MiB of memory at most. */
const MOST_PUTS = 4;

export type PutQueue = ReturnType<typeof createPutQueue>;

/** Puts parts into the store, a few at a time. After the first failure nothing more is put. */
export function createPutQueue({ store, signal: given }: { readonly store: Store; readonly signal: AbortSignal }) {
  const abandoning = new AbortController();
  const signal = AbortSignal.any([given, abandoning.signal]);
  const running = new Set<Promise<void>>();
  let failed = false;
  let failure: unknown;

  const assertWell = () => {
    if (failed) throw failure;
  };

  return {
    /** Begins to put; `room` is to be waited for before much more is begun. `done` is told the SHA-256, in hex. */
    begin(key: string, bytes: Uint8Array<ArrayBuffer>, done: (sha256: string) => void): void {
      if (failed) return;
      const put = Promise.all([sha256(bytes), store.put(key, bytes, { contentType: NDJSON, signal })]).then(
        ([sum]) => done(sum),
        (error: unknown) => {
          if (!failed) failure = error;
          failed = true;
        },
      );
      const ended = put.finally(() => running.delete(ended));
      running.add(ended);
    },

    /** Resolves when another may begin. @throws {StoreError} of a put that failed, or the signal's reason. */
    async room(): Promise<void> {
      while (running.size >= MOST_PUTS) await Promise.race(running);
      assertWell();
    },

    /** Resolves when all are in the store. @throws {StoreError} as `room`. */
    async drained(): Promise<void> {
      await Promise.all(running);
      assertWell();
    },

    /** Breaks off what is on its way, and resolves when nothing is. */
    async abandon(): Promise<void> {
      abandoning.abort();
      await Promise.all(running);
    },
  };
}

/** In a thread of Node's pool, unlike `createHash`. */
async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes)).toString('hex');
}
