import { createHash } from 'node:crypto';
import type { BatchRequest } from './batch-options.ts';

/**
 * What an upload says, however it is wrapped: the same file with the same options has the same fingerprint as a raw
 * body, compressed, or in a form of other boundaries.
 */
export function contentFingerprint(
  request: BatchRequest,
  source: { readonly format: string; readonly sha256: string },
): string {
  const content = [canonical(request), source.format, source.sha256];
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}

/** The value with the names of each object in order. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, inner]) => [name, canonical(inner)]);
}
