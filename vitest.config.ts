import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

// Each file is a process of its own, which else compiles what it imports anew.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, '.cache/compiled');

const SERVERS = 'test/support/global-setup.ts';
const BLACK_BOX = 'test/black-box/**/*.test.ts';

export default defineConfig({
  test: {
    // Real processes, real signals: a thread has neither.
    pool: 'forks',
    // Most tests wait for servers, not for the processor.
    maxWorkers: 4,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: { name: 'suites', include: ['test/**/*.test.ts'], exclude: [BLACK_BOX], globalSetup: [SERVERS] },
      },
      {
        extends: true,
        // The image is built only where one of its tests runs.
        test: {
          name: 'black-box',
          include: [BLACK_BOX],
          globalSetup: [SERVERS, 'test/support/black-box-setup.ts'],
          testTimeout: 60_000,
          // Each file starts a whole yard. They come last, so that these do not compete with everything else.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
