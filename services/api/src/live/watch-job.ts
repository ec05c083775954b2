import type { LiveStream } from './live-stream.ts';

/** Watches one job. Must be closed. */
export interface Watch {
  /** Resolves when the job may have ended: it was said to, or word of it may have been missed. */
  changed(): Promise<void>;
  close(): void;
}

/** Word that comes after this call is not missed. */
export function watchJob(live: Pick<LiveStream, 'listen'>, job: string): Watch {
  let word = Promise.withResolvers<void>();
  const wake = () => word.resolve();
  const close = live.listen(`job:${job}`, { entry: wake, word: wake });
  return {
    changed: async () => {
      await word.promise;
      word = Promise.withResolvers();
    },
    close,
  };
}
