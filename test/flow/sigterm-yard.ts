import { expect } from 'vitest';
import { type Installation, type InstallationOptions, startInstallation } from '../support/installation.ts';
import type { ServiceProcess } from '../support/processes.ts';
import { askReady, STOPPING, watchersUrl } from './sigterm-process.ts';

/** An installation with one worker, which is to be told to stop. Use it with `await using`. */
export async function openSigtermYard({
  env = {},
  graceMs,
  ...options
}: InstallationOptions & { readonly graceMs: number }) {
  const yard = await startInstallation({
    workers: 0,
    env: { METRICS_PORT: '0', SHUTDOWN_GRACE_MS: String(graceMs), SEGMIND_CONCURRENCY: '2', ...env },
    ...options,
  });
  return { yard, worker: await yard.startWorker(), [Symbol.asyncDispose]: () => yard[Symbol.asyncDispose]() };
}

/** Submits one job. @returns its id once its call is in flight. */
export async function callInFlight(yard: Installation): Promise<string> {
  const [id = ''] = await yard.submit(['A lighthouse at dawn']);
  await yard.until('the call is in flight', async () => (await yard.jobs([id]))[0]?.status === 'processing');
  return id;
}

/** A worker that comes later makes an image of the job, and it is paid for once in all. */
export async function goesOn(yard: Installation, id: string): Promise<void> {
  await yard.startWorker();
  const [job] = await yard.ended([id]);
  expect(job?.status).toBe('succeeded');
  expect((await yard.upstream.ledger()).billed_count).toBe(1);
  expect((await yard.credits()).reserved).toBe(0);
}

/** Until it ends, whoever watches over it is told that it stops. */
export async function tellsThatItStops(worker: ServiceProcess): Promise<void> {
  const url = await watchersUrl(worker);
  await worker.untilLog((line) => line.msg === 'stopping');
  expect(await askReady(url)).toEqual(STOPPING);
  expect((await fetch(`${url}/health/live`)).status).toBe(200);
}
