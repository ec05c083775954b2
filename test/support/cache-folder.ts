import { join } from 'node:path';

/** The repository. */
export const REPOSITORY = join(import.meta.dirname, '../..');
/** What tests fetch once and use again: unpacked packages and compiled code. Not in version control. */
export const CACHE = join(REPOSITORY, '.cache');
export const PACKAGES = join(CACHE, 'packages');
