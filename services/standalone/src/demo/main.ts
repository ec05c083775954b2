import { readSecretFiles } from '@renderyard/shared/secret-files';
import { SERVICE_FILES } from '../service-files.ts';
import { runDemo } from './run-demo.ts';

const { env } = readSecretFiles(process.env);
await runDemo({ args: process.argv.slice(2), env, files: SERVICE_FILES, process });
