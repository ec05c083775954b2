import { join } from 'node:path';
import { runStandalone } from '@renderyard/standalone/run-standalone';
import { createTerminal } from '@renderyard/standalone/terminal';

const standIn = (service: string) => join(import.meta.dirname, `${service}.ts`);

await runStandalone({
  env: process.env,
  files: { api: standIn('api'), worker: standIn('worker'), simulator: standIn('simulator') },
  terminal: createTerminal(process),
});
