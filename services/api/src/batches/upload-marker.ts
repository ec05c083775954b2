import { uploadKey } from '@renderyard/shared/batch/batch-layout';
import type { Clock } from '@renderyard/shared/clock';
import { describeError } from '@renderyard/shared/describe-error';
import type { Logger } from '@renderyard/shared/logger';
import type { Store } from '@renderyard/shared/store/store';

/** Tells everybody that somebody still works on an upload; what has none for long is swept. */
export interface UploadMarker {
  /**
   * Aborts when the marker could not be written for so long that the upload may be taken for dead: nothing must be made
   * of it any more.
   */
  readonly signal: AbortSignal;
  /** Takes it away: the upload has come to an end, and left nothing that must be swept. */
  remove(): Promise<void>;
  /** Leaves it, to be found by the sweep. */
  leave(): void;
}

const RENEW_MS = 60_000;
/** A sweep must wait for longer than this, by the store's clock, after a marker was written. */
const STALE_MS = 5 * 60_000;

/** Writes the marker of a batch that is being uploaded, and again every minute until it is removed or left. */
export async function markUpload(
  { store, clock, logger }: { readonly store: Store; readonly clock: Clock; readonly logger: Logger },
  { batch, account, upload }: { readonly batch: string; readonly account: string; readonly upload: string },
): Promise<UploadMarker> {
  const key = uploadKey(batch);
  const body = Buffer.from(`${JSON.stringify({ batch, account, upload })}\n`);
  const write = () => store.put(key, body, { contentType: 'application/json' });
  await write();
  let writtenAt = clock.now();
  const stale = new AbortController();
  const renewal = setInterval(() => {
    const begunAt = clock.now();
    write().then(
      () => {
        writtenAt = begunAt;
      },
      (error: unknown) => {
        logger.warn({ err: describeError(error), batch_id: batch }, 'the marker of an upload could not be written');
        if (clock.now() - writtenAt > STALE_MS) stale.abort(error);
      },
    );
  }, RENEW_MS).unref();
  return {
    signal: stale.signal,
    leave: () => clearInterval(renewal),
    remove: async () => {
      clearInterval(renewal);
      await store.delete([key]).catch((error: unknown) => {
        logger.warn({ err: describeError(error), batch_id: batch }, 'the marker of an upload could not be removed');
      });
    },
  };
}
