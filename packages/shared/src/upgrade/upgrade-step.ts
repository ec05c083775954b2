import type { Logger } from '../logger.ts';

/** Told of each step of an upgrade before it is taken, and waited for. */
export type OnStep = (step: string) => void | Promise<void>;

/** Writes each step into the log. */
export function logSteps(logger: Logger): OnStep {
  return (step) => logger.info({ step }, 'a step of the upgrade begins');
}
