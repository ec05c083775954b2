import type { PartProblem } from '../errors/problem-error.ts';
import { valueProblems } from './check-value.ts';

/** Bytes of metadata, as JSON in UTF-8. */
export const MOST_METADATA = 16_384;
export const METADATA_DEPTH = 5;

/**
 * Checks a user's own data: an object, or nothing, which counts as an empty one.
 * @param at JSON pointer of the value in the request.
 */
export function readMetadata(
  metadata: unknown,
  at: string,
  problems: PartProblem[],
): Readonly<Record<string, unknown>> {
  if (metadata === undefined || metadata === null) return {};
  if (typeof metadata !== 'object' || Array.isArray(metadata)) {
    problems.push({ pointer: at, code: 'wrong_type', detail: 'metadata must be an object.' });
    return {};
  }
  const bytes = Buffer.byteLength(JSON.stringify(metadata));
  if (bytes > MOST_METADATA)
    problems.push({
      pointer: at,
      code: 'too_large',
      detail: `metadata must be at most ${MOST_METADATA} bytes of JSON, but has ${bytes}.`,
    });
  problems.push(...valueProblems(metadata, { mostDepth: METADATA_DEPTH, at, exactNumbers: true }));
  return metadata as Readonly<Record<string, unknown>>;
}
