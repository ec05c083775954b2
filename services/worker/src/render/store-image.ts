import type { Clock } from '@renderyard/shared/clock';
import { toCredits } from '@renderyard/shared/credits/amount';
import type { Ledger } from '@renderyard/shared/credits/ledger';
import type { Image, Job } from '@renderyard/shared/job/job';
import type { Logger } from '@renderyard/shared/logger';
import type { Store } from '@renderyard/shared/store/store';
import { StoreError } from '@renderyard/shared/store/store-error';
import type { AnswerFacts } from '../segmind/outcome.ts';
import type { ReceivedImage } from '../segmind/received-image.ts';
import { backoff } from './backoff.ts';
import { placeImage } from './place-image.ts';

export type Stored =
  | { readonly kind: 'stored'; readonly image: Image }
  /** The store will never take this image. */
  | { readonly kind: 'refused'; readonly detail: string }
  /** The worker stopped before the store could be reached again. */
  | { readonly kind: 'gave_up' };

export interface StoreImageDependencies {
  readonly store: Store;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborts when the worker can wait no longer. */
  readonly abort: AbortSignal;
}

/** The least wait between two tries to store an image, in milliseconds; the longest is about two seconds. */
const FIRST_WAIT_MS = 250;

/**
 * Puts a paid image into the store, however long that takes: it is tried until it succeeds or the worker must stop,
 * and while it fails no new call is made. The object is created, never replaced: of two calls for one job (a worker
 * that was thought dead) the first image stays, and both record the same. Where its key is another's, it goes beside it.
 */
export async function storeImage(
  job: Job,
  call: string,
  received: ReceivedImage,
  facts: AnswerFacts,
  deps: StoreImageDependencies,
): Promise<Stored> {
  const { ledger, clock, logger, abort } = deps;
  const place = { job, call, extension: received.extension };
  const metadata = imageMetadata(job, call, received, facts);
  for (let tries = 1; ; tries++) {
    try {
      const placed = await placeImage(deps, place, received.body, {
        contentType: received.contentType,
        metadata,
        signal: abort,
      });
      if (tries > 1 && (await ledger.releaseHold('store')))
        logger.info({ hold: 'store' }, 'the store takes images again');
      if ('earlier' in placed) return { kind: 'stored', image: placed.earlier.image };
      return {
        kind: 'stored',
        image: {
          key: placed.key,
          content_type: received.contentType,
          bytes: received.bytes,
          width: received.width,
          height: received.height,
          sha256: received.sha256,
          seed: Number(metadata.seed),
        },
      };
    } catch (error) {
      if (abort.aborted) return { kind: 'gave_up' };
      if (error instanceof StoreError && error.kind === 'invalid')
        return { kind: 'refused', detail: 'The store refuses the image.' };
      logger.warn({ err: error, job: job.id, call, tries }, 'an image cannot be stored and is tried again');
      holdForStore(deps);
      await clock.sleep(FIRST_WAIT_MS + backoff(Math.min(tries, 4), FIRST_WAIT_MS), abort);
      if (abort.aborted) return { kind: 'gave_up' };
    }
  }
}

/** Not waited for, and it never fails: Redis may be on the same full disk as the store, or away as well. */
export function holdForStore({ ledger, logger }: Pick<StoreImageDependencies, 'ledger' | 'logger'>): void {
  const detail =
    'The store cannot be used. What was paid for is kept and tried again; no new call is made until it can.';
  ledger.setHold('store', detail).then(
    (isNew) => isNew && logger.error({ hold: 'store' }, detail),
    (error: unknown) => logger.warn({ err: error, hold: 'store' }, 'the hold for the store cannot be set'),
  );
}

/** What is written beside an image: whose it is, what it cost, and what proves it whole. */
export function imageMetadata(job: Job, call: string, image: ReceivedImage, facts: AnswerFacts) {
  return {
    job: job.id,
    call,
    seed: String(facts.seed ?? (typeof job.input.seed === 'number' ? job.input.seed : 0)),
    sha256: image.sha256,
    width: String(image.width),
    height: String(image.height),
    ...(facts.cost === undefined ? {} : { cost: String(toCredits(facts.cost)) }),
    ...(facts.requestId === undefined ? {} : { 'request-id': facts.requestId }),
  };
}
