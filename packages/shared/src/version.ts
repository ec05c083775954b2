import { readFileSync } from 'node:fs';

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };

/** Of Renderyard: all its packages have the same. */
export const VERSION = manifest.version;
