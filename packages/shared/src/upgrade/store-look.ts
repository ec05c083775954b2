import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import { NewerStateError } from './newer-state-error.ts';
import type { StoreVersion } from './store-version.ts';
import type { Upgrade } from './upgrade.ts';

/** The start waits so long for a store to say of which version it is; then it goes by the mark of Redis alone. */
const PATIENCE_MS = 2000;
/** How soon a store that is away, or is being upgraded by another process, is asked again. */
const AGAIN_MS = 1000;

export type StoreLook = ReturnType<typeof createStoreLook>;

/** Finds out once of which version the store is: at the start, or as soon after it as the store is there. */
export function createStoreLook({
  upgrade,
  clock,
  logger,
  stopped,
  onNewer,
}: {
  readonly upgrade: Pick<Upgrade, 'ofStore'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly stopped: AbortSignal;
  /** Told where nobody waits any more. */
  readonly onNewer: (error: NewerStateError) => void;
}) {
  let known: StoreVersion | undefined;
  let looking: Promise<void> | undefined;

  async function untilKnown(): Promise<void> {
    let told = false;
    while (known === undefined && !stopped.aborted) {
      try {
        known = await upgrade.ofStore(stopped);
        if (known !== undefined) return;
      } catch (error) {
        if (error instanceof NewerStateError) return onNewer(error);
        if (!told && !stopped.aborted)
          logger.warn(
            { err: error },
            'the store cannot say yet of which version it is; Redis is believed until it can',
          );
        told = true;
      }
      await clock.sleep(AGAIN_MS, stopped);
    }
  }

  return {
    /** Resolves when the version is known, or after 2 s at the first call and at once at others. */
    async look(): Promise<void> {
      if (known !== undefined || looking !== undefined) return;
      looking = untilKnown();
      const patience = new AbortController();
      await Promise.race([looking, clock.sleep(PATIENCE_MS, AbortSignal.any([patience.signal, stopped]))]);
      patience.abort();
    },
    /** Who has upgraded the store itself knows. */
    found(version: StoreVersion): void {
      known = version;
    },
    get id() {
      return known?.id;
    },
    ended: async (): Promise<void> => looking,
  };
}
