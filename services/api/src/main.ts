import { endOnSignals } from '@renderyard/shared/end-on-signals';

/** `npm run api`: one API process, with its settings from the environment. */
const handOver = endOnSignals(process);
const { runApi } = await import('./run-api.ts');
await runApi({ env: process.env, handOver });
