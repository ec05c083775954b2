import { endOnSignals } from '@renderyard/shared/end-on-signals';

/** `npm run simulator`: one simulator process, with its settings from the environment. */
const handOver = endOnSignals(process);
const { runSimulator } = await import('./run-simulator.ts');
await runSimulator({ env: process.env, handOver });
