import { readSecretFiles } from '@renderyard/shared/secret-files';
import { runStandalone } from './run-standalone.ts';
import { SERVICE_FILES } from './service-files.ts';
import { createTerminal } from './terminal.ts';

const { env } = readSecretFiles(process.env);
await runStandalone({ env, files: SERVICE_FILES, terminal: createTerminal(process) });
