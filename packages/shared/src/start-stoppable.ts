import { createLifecycle, type ProcessLike, type StopPhase } from './lifecycle.ts';
import type { Logger } from './logger.ts';

/** What runs and can be stopped. */
export interface Stoppable {
  phases(): Iterable<StopPhase>;
  /** Resolves when it cannot go on, with the reason: the process then stops, and ends with code 1. */
  readonly failed?: Promise<Error>;
}

/** With what follows it, within two seconds. */
const START_END_MS = 1500;

/**
 * Starts a service that can be told to stop from its first moment on.
 * @param start is given a signal that aborts when the start is to end; it then throws, or resolves soon with what it has
 * come to. One that does neither within 1.5 s is given up.
 * @returns undefined where the process was told to stop meanwhile: it then ends by itself, with code 0.
 * @throws what `start` threw by itself.
 */
export async function startStoppable<S extends Stoppable>(options: {
  readonly start: (signal: AbortSignal) => Promise<S>;
  readonly logger: Logger;
  readonly process: ProcessLike;
}): Promise<S | undefined> {
  const { logger, process } = options;
  const toldToStop = new AbortController();
  let started: Promise<S> | undefined;
  let service: S | undefined;

  function* phases(): Generator<StopPhase> {
    toldToStop.abort();
    const ended = () =>
      started?.then(
        () => undefined,
        () => undefined,
      );
    if (service === undefined) yield { name: 'end the start', deadlineMs: START_END_MS, stop: ended };
    // The start may have come to its end meanwhile.
    if (service !== undefined) yield* service.phases();
  }

  const lifecycle = createLifecycle({ phases, logger, process });
  try {
    started = options.start(toldToStop.signal);
    service = await started;
  } catch (error) {
    if (!lifecycle.stopping) throw error;
    logger.debug({ err: error }, 'the start was ended');
  }
  void service?.failed?.then(async (error) => {
    logger.fatal(error.message);
    await lifecycle.stop('it cannot go on');
    process.exit(1);
  });
  return lifecycle.stopping ? undefined : service;
}
