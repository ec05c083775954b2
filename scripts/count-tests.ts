import { readFileSync } from 'node:fs';

/** What is read of the file that vitest's JSON reporter writes. */
interface Results {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly success: boolean;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

/**
 * Prints `N passed, N failed`, and `, N skipped` when some were, for the results of a run of the tests. The exit code
 * is 1 when anything failed or nothing ran.
 * usage: node scripts/count-tests.ts RESULTS.json
 */
const results = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as Results;
// A file that cannot even be loaded has no tests, but it has failed.
const broken = results.testResults.filter(
  ({ status, assertionResults }) => status === 'failed' && assertionResults.every((test) => test.status !== 'failed'),
).length;
const passed = results.numPassedTests;
const failed = results.numFailedTests + broken;
const skipped = results.numPendingTests + results.numTodoTests;
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failed > 0 || passed === 0 || !results.success ? 1 : 0;
