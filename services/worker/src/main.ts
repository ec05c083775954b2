import { endOnSignals } from '@renderyard/shared/end-on-signals';

/** `npm run worker`: one worker process, with its settings from the environment. */
const handOver = endOnSignals(process);
const { runWorker } = await import('./run-worker.ts');
await runWorker({ env: process.env, handOver });
