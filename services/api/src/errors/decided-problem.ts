import type { ApiErrorCode } from './catalogue.ts';
import { ProblemError } from './problem-error.ts';
import { toProblem } from './to-problem.ts';

const DECIDED = 'It is decided, and kept in the store';
/** What is told of a decision that lies in the store and may not be in force yet. */
const UNENFORCED: Readonly<Partial<Record<ApiErrorCode, string>>> = {
  redis_replaced: `${DECIDED}. Redis was emptied or replaced: it is in force as soon as Redis is rebuilt from the store. Asking again is harmless.`,
  // A Redis that comes back with what it held is not rebuilt.
  redis_unavailable: `${DECIDED}, but Redis cannot be used now. Ask again, which is harmless: it is in force as soon as that reaches Redis, or Redis is rebuilt.`,
  store_unavailable: `${DECIDED}, which then failed. Ask again, which is harmless, to have it in force.`,
};

/**
 * What is to be thrown when a decision lies in the store and something failed after that: a problem that says so.
 * @param members further members of the problem document.
 */
export function asDecided(error: unknown, members: Readonly<Record<string, unknown>> = {}): unknown {
  const { code, options } = toProblem(error);
  const detail = UNENFORCED[code];
  return detail === undefined ? error : new ProblemError(code, detail, { ...options, members });
}
