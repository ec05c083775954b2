import { join } from 'node:path';
import { runDemo } from '@renderyard/standalone/demo/run-demo';

const others = join(import.meta.dirname, '../../standalone/stand-ins');

await runDemo({
  args: process.argv.slice(2),
  env: process.env,
  files: {
    api: join(import.meta.dirname, 'api.ts'),
    worker: join(others, 'worker.ts'),
    simulator: join(others, 'simulator.ts'),
  },
  process,
});
