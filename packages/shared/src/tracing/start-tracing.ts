import type { StopPhase } from '../lifecycle.ts';
import type { Logger } from '../logger.ts';
import type { Environment } from '../settings.ts';
import { readTracingSettings } from './tracing-settings.ts';

/** How long the last spans of a process may take to be sent, in milliseconds. */
const LAST_SPANS_MS = 2000;

/**
 * Has spans exported as the standard variables of OpenTelemetry say, if they do. Its SDK is loaded only then.
 * @param env of the process: the exporter reads some of it itself.
 * @returns what is to be done last when the process stops: nothing, where nothing is traced.
 */
export async function startTracing({
  service,
  env,
  logger,
}: {
  readonly service: 'api' | 'worker';
  readonly env: Environment;
  readonly logger: Logger;
}): Promise<{ readonly phases: readonly StopPhase[] }> {
  const settings = readTracingSettings(env);
  for (const warning of settings.warnings) logger.warn(warning);
  if (!('sampler' in settings)) return { phases: [] };
  const { exportSpans } = await import('./export-spans.ts');
  const { stop } = exportSpans({ service, settings, logger });
  return { phases: [{ name: 'send the last spans', deadlineMs: LAST_SPANS_MS, stop }] };
}
