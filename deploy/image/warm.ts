import { existsSync } from 'node:fs';
import { exit } from 'node:process';

/**
 * Loads what a service loads at its start, without starting it: run once for each while the image is built, so that what
 * V8 made of it is kept in NODE_COMPILE_CACHE.
 */
const [service = ''] = process.argv.slice(2);
await import('@renderyard/shared/end-on-signals');
await import(`../../services/${service}/src/run-${service}.ts`);
// Loaded in a thread by the first upload; its own file needs the thread.
const upload = new URL(`../../services/${service}/src/batches/intake/import-upload.ts`, import.meta.url);
if (existsSync(upload)) await import(upload.href);
exit(0);
