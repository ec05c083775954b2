import type { Clock } from '@renderyard/shared/clock';
import type { Logger } from '@renderyard/shared/logger';
import type { Recovery } from '@renderyard/shared/recovery/recovery';
import { GenerationLostError } from '@renderyard/shared/redis/script';

/** What fails again and again is told once in this time, in milliseconds. */
const AGAIN_MS = 60_000;
/** What has not failed for so long is over, in milliseconds: all rounds come sooner than that. */
const QUIET_MS = 10_000;
/** More matters than these are not kept apart: the one that was told longest ago is forgotten. */
const MOST_MATTERS = 50;

interface Matter {
  toldAt: number;
  failedAt: number;
  /** How often it came since it was told. */
  times: number;
  over: boolean;
}

export interface FailureLog {
  /** Told of what failed. A Redis that was emptied is rebuilt; all else is logged. Never rejects. */
  readonly onError: (error: unknown) => Promise<void>;
  /** Told of each round of the upkeep that worked. */
  readonly onRound: () => void;
}

/**
 * Tells what fails in the loops beside rendering. There are ten of them, and a cause that they have in common, such as a
 * password that Redis refuses, is one matter: told at once, then at most once a minute, and once when it is over.
 */
export function createFailureLog({
  recovery,
  clock,
  logger,
}: {
  readonly recovery: Pick<Recovery, 'ensure'>;
  readonly clock: Clock;
  readonly logger: Logger;
}): FailureLog {
  const matters = new Map<string, Matter>();

  function tell(error: unknown, message: string): void {
    const name = `${message}: ${matterOf(error)}`;
    const now = clock.now();
    const known = matters.get(name);
    if (known !== undefined && now - known.toldAt < AGAIN_MS) {
      Object.assign(known, { failedAt: now, times: known.times + 1 });
      return;
    }
    logger.warn({ err: error, ...(known === undefined ? {} : { times: known.times + 1 }) }, message);
    // At the end of the order, as what was told last.
    matters.delete(name);
    matters.set(name, { toldAt: now, failedAt: now, times: 0, over: false });
    const [oldest] = matters.keys();
    if (matters.size > MOST_MATTERS && oldest !== undefined) matters.delete(oldest);
  }

  return {
    async onError(error) {
      if (!(error instanceof GenerationLostError)) return tell(error, 'upkeep failed and is tried again');
      await recovery.ensure().catch((again: unknown) => tell(again, 'upkeep cannot recover yet'));
    },
    onRound() {
      const now = clock.now();
      for (const [name, matter] of matters) {
        if (!matter.over && now - matter.failedAt >= QUIET_MS) {
          logger.info({ was: name, times: matter.times }, 'upkeep works again');
          matter.over = true;
        }
        if (matter.over && now - matter.toldAt >= AGAIN_MS) matters.delete(name);
      }
    },
  };
}

/** What two errors have in common that are of one cause: Redis's or the system's code, else the message without numbers. */
function matterOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const redis = /^-?([A-Z]{2,})\b/.exec(error.message)?.[1];
  if (redis !== undefined && redis !== 'ERR') return redis;
  if ('code' in error && typeof error.code === 'string') return error.code;
  return `${error.name}: ${error.message.replace(/\b[a-z]+_[0-9a-z]{20,}|\b[0-9a-f]{16,}\b|\d+/g, '…')}`;
}
