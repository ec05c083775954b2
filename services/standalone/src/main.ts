import { join } from 'node:path';
import { runStandalone } from './run-standalone.ts';

const main = (service: string) => join(import.meta.dirname, '../..', service, 'src/main.ts');

await runStandalone({
  env: process.env,
  files: { api: main('api'), worker: main('worker'), simulator: main('simulator') },
});
