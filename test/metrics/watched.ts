import type { ServiceProcess } from '../support/processes.ts';

/** Settings with which each process serves its metrics at a port of its own. */
export const WATCHED = { METRICS_PORT: '0' } as const;

/** Where a process that has {@link WATCHED} serves them. */
export async function watchersUrl(process: ServiceProcess): Promise<string> {
  const { url } = await process.untilLog(({ msg }) => msg === 'metrics and health are served');
  if (typeof url !== 'string') throw new Error('The log does not say where metrics are served.');
  return url;
}
