import { SERVICE_FILES } from '../service-files.ts';
import { runDemo } from './run-demo.ts';

await runDemo({ args: process.argv.slice(2), env: process.env, files: SERVICE_FILES, process });
