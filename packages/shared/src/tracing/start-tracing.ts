import type { Logger } from '../logger.ts';
import type { Environment } from '../settings.ts';
import { readTracingSettings } from './tracing-settings.ts';

/** How long the last spans of a process may take to be sent, in milliseconds. */
const LAST_SPANS_MS = 2000;

/** Tracing as it runs, or not. */
export interface Tracing {
  /** Sends what has not been sent. Never throws, and takes two seconds at most. */
  stop(): Promise<void>;
}

/**
 * Has spans exported as the standard variables of OpenTelemetry say, if they do. Its SDK is loaded only then.
 * @param env of the process: the exporter reads some of it itself.
 */
export async function startTracing({
  service,
  env,
  logger,
}: {
  readonly service: 'api' | 'worker';
  readonly env: Environment;
  readonly logger: Logger;
}): Promise<Tracing> {
  const settings = readTracingSettings(env);
  for (const warning of settings.warnings) logger.warn(warning);
  if (!('sampler' in settings)) return { stop: async () => undefined };
  const { exportSpans } = await import('./export-spans.ts');
  const exported = exportSpans({ service, settings, logger });
  return {
    async stop() {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, LAST_SPANS_MS);
      });
      await Promise.race([exported.stop().catch(() => undefined), late]);
      clearTimeout(timer);
    },
  };
}
