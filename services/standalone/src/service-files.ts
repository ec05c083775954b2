import { join } from 'node:path';
import type { ServiceFiles } from './standalone.ts';

const main = (service: string) => join(import.meta.dirname, '../..', service, 'src/main.ts');

/** The services as they lie in this repository. */
export const SERVICE_FILES: ServiceFiles = {
  api: main('api'),
  worker: main('worker'),
  simulator: main('simulator'),
};
