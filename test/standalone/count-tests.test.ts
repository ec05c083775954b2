import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { REPOSITORY } from '../support/cache-folder.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

interface Counted {
  readonly code: number | null;
  readonly stdout: string;
}

async function count(results: Readonly<Record<string, unknown>>): Promise<Counted> {
  const folder = await makeTemporaryFolder('count');
  try {
    const file = join(folder, 'results.json');
    await writeFile(file, JSON.stringify(results));
    return await new Promise((resolve) => {
      const child = execFile(process.execPath, [join(REPOSITORY, 'scripts/count-tests.ts'), file], (_error, stdout) =>
        resolve({ code: child.exitCode, stdout }),
      );
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const file = (...statuses: readonly string[]) => ({
  status: statuses.includes('failed') ? 'failed' : 'passed',
  assertionResults: statuses.map((status) => ({ status })),
});
const results = {
  numPassedTests: 2,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  success: true,
  testResults: [file('passed', 'passed')],
};

test.for([
  ['all passed', results, '2 passed, 0 failed\n', 0],
  ['some were skipped', { ...results, numPendingTests: 1, numTodoTests: 2 }, '2 passed, 0 failed, 3 skipped\n', 0],
  [
    'one failed',
    { ...results, numFailedTests: 1, success: false, testResults: [file('passed', 'passed', 'failed')] },
    '2 passed, 1 failed\n',
    1,
  ],
  [
    'a file could not be loaded',
    { ...results, success: false, testResults: [file('passed', 'passed'), { status: 'failed', assertionResults: [] }] },
    '2 passed, 1 failed\n',
    1,
  ],
  ['nothing ran', { ...results, numPassedTests: 0, testResults: [] }, '0 passed, 0 failed\n', 1],
] as const)('the count is right and fails when it must: %s', async ([, given, stdout, code]) => {
  expect(await count(given)).toEqual({ stdout, code });
});
