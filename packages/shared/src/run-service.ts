import type { StopPhase } from './lifecycle.ts';
import type { Logger } from './logger.ts';
import { SettingsError } from './settings.ts';
import { type Stoppable, startStoppable } from './start-stoppable.ts';

/** A service that has read its settings and can be started. */
interface Prepared<S> {
  readonly logger: Logger;
  /** As of {@link startStoppable}. */
  readonly start: (signal: AbortSignal) => Promise<S>;
  /** What is stopped after the service. */
  readonly after?: readonly StopPhase[];
  /** Told that it runs. */
  readonly started: (service: S) => void;
}

/**
 * This process as a service. Resolves when it runs, which its parent is told, or was told to stop before. One that cannot
 * start says why on standard error, in one line or one for each wrong setting, and ends with code 1.
 * @param options.name for people, such as `The worker`.
 * @param options.portSetting of a service that listens: the setting that is wrong when `listen` of `node:net` finds its
 * port taken.
 * @param options.handOver called once the signals that end a process are handled here.
 */
export async function runService<S extends Stoppable & { readonly url?: string }>(options: {
  readonly name: string;
  readonly portSetting?: string;
  readonly prepare: () => Promise<Prepared<S>>;
  readonly handOver: () => void;
}): Promise<void> {
  try {
    const { logger, start, after = [], started } = await options.prepare();
    const starting = startStoppable({
      start: async (signal) => {
        const service = await start(signal);
        return { ...service, phases: () => [...service.phases(), ...after] };
      },
      logger,
      process,
    });
    options.handOver();
    const service = await starting;
    if (service === undefined) return;
    started(service);
    process.send?.({ ready: true, ...(service.url === undefined ? {} : { url: service.url }) });
  } catch (error) {
    process.stderr.write(`${whyNot(error, options)}\n`);
    process.exit(1);
  }
}

/** One clear line for what a person can put right. */
function whyNot(
  error: unknown,
  { name, portSetting }: { readonly name: string; readonly portSetting?: string },
): string {
  if (error instanceof SettingsError) return error.message;
  const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
  if (isTaken && portSetting !== undefined)
    return `${name} cannot start: the port is taken by another process. Set ${portSetting} to a free one.`;
  return `${name} cannot start: ${error instanceof Error ? error.message : String(error)}`;
}
