import type { Logger } from './logger.ts';

/** One step of stopping, run in the order in which the steps are given. */
export interface StopPhase {
  readonly name: string;
  /** After this many milliseconds the phase is given up and the next begins. */
  readonly deadlineMs: number;
  readonly stop: () => Promise<unknown> | undefined;
}

/**
 * npm passes a Ctrl-C on to a child that the terminal has already told. Signals closer together than this are one.
 */
const SAME_SIGNAL_MS = 750;

/** What of `process` is used, so that tests can hand in their own. */
export interface ProcessLike {
  on(event: string, listener: (...args: never[]) => void): unknown;
  exit(code: number): void;
}

export interface Lifecycle {
  /** Begins to stop; a second call returns the same promise. It resolves when every phase ended or was given up. */
  stop(reason: string): Promise<void>;
  readonly stopping: boolean;
}

/**
 * Stops a process in phases, each with its deadline, on SIGTERM, on SIGINT, or when the parent that holds our IPC
 * channel is gone. A second signal exits at once, with code 1.
 */
export function createLifecycle(options: {
  /** What it gives one after the other may be found out as it goes on. */
  readonly phases: () => Iterable<StopPhase>;
  readonly logger: Logger;
  readonly process: ProcessLike;
}): Lifecycle {
  const { phases, logger } = options;
  let stopped: Promise<void> | undefined;
  let firstSignalAt: number | undefined;

  const runPhases = async (reason: string) => {
    logger.info({ reason }, 'stopping');
    for (const phase of phases()) {
      let timer: NodeJS.Timeout | undefined;
      const deadline = new Promise<'deadline'>((resolve) => {
        timer = setTimeout(() => resolve('deadline'), phase.deadlineMs);
      });
      try {
        if ((await Promise.race([phase.stop(), deadline])) === 'deadline')
          logger.warn(
            { phase: phase.name, deadline_ms: phase.deadlineMs },
            'a phase of stopping took too long and was given up',
          );
      } catch (error) {
        logger.error({ phase: phase.name, err: error }, 'a phase of stopping failed');
      } finally {
        clearTimeout(timer);
      }
    }
    logger.info({ reason }, 'stopped');
  };

  const lifecycle: Lifecycle = {
    stop: (reason) => {
      stopped ??= runPhases(reason);
      return stopped;
    },
    get stopping() {
      return stopped !== undefined;
    },
  };

  const onSignal = (signal: string) => {
    const now = performance.now();
    if (firstSignalAt !== undefined) {
      if (now - firstSignalAt > SAME_SIGNAL_MS) options.process.exit(1);
      return;
    }
    firstSignalAt = now;
    end(signal);
  };
  const end = (reason: string) => {
    lifecycle.stop(reason).then(
      () => options.process.exit(0),
      () => options.process.exit(1),
    );
  };
  options.process.on('SIGTERM', () => onSignal('SIGTERM'));
  options.process.on('SIGINT', () => onSignal('SIGINT'));
  // No second signal: a parent that ends while we stop has nothing more to say.
  options.process.on('disconnect', () => end('the parent process is gone'));
  return lifecycle;
}
