import { runStandalone } from './run-standalone.ts';
import { SERVICE_FILES } from './service-files.ts';
import { createTerminal } from './terminal.ts';

await runStandalone({ env: process.env, files: SERVICE_FILES, terminal: createTerminal(process) });
