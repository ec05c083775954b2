import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import type { Environment } from './settings.ts';

/**
 * The settings whose value may lie in a file that `<name>_FILE` names, as Docker's own images have it: what stands in
 * the environment is shown by `docker inspect`, and handed on to every child. The upstream's key has a file of its own
 * kind, which is watched (upstream-key-file.ts).
 */
const NAMES = ['REDIS_URL', 'RENDERYARD_API_KEYS', 'SECRET_KEY', 'WEBHOOK_SECRET'] as const;

export type SecretName = (typeof NAMES)[number];

/** Bytes that a file may have. A thousand API keys take a tenth of it. */
const MOST_BYTES = 1_048_576;

/** What `readSecretFiles` makes of an environment. */
export interface SecretFiles {
  /** With the values in place, and without the names of the files that they were read from. */
  readonly env: Environment;
  /** By the setting that has no value because of it, a sentence that names the variable and the file, never the content. */
  readonly problems: ReadonlyMap<SecretName, string>;
}

/**
 * Reads the files that stand for settings. White space around a value is no part of it. A variable whose file cannot
 * be used stays as it is, so that reading the answer again finds the same problem. Never throws.
 */
export function readSecretFiles(env: Environment): SecretFiles {
  const values: Record<string, string | undefined> = { ...env };
  const problems = new Map<SecretName, string>();
  for (const name of NAMES) {
    const variable = `${name}_FILE`;
    const path = env[variable]?.trim() ?? '';
    if (path === '') continue;
    if ((env[name] ?? '').trim() !== '') {
      problems.set(name, `${name} and ${variable} are both set. Set one: the value, or the file that holds it.`);
      continue;
    }
    try {
      values[name] = readValue(path);
      delete values[variable];
    } catch (error) {
      problems.set(
        name,
        isMissing(error) ? `${variable} ${NO_SUCH_FILE}` : `${variable} names ${path}, ${explain(error)}`,
      );
    }
  }
  return { env: values, problems };
}

/** Without what was given: it may be the secret itself. */
export const NO_SUCH_FILE = 'must be the path of a file, but there is no such file (ENOENT).';

/** Whether what was given names no file: then it may be no path at all. */
export function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ERR_INVALID_ARG_VALUE'].includes(
    (error as NodeJS.ErrnoException).code ?? '',
  );
}

/** Thrown for a file that was found and cannot hold a value; its message ends a sentence. */
class UnfitFileError extends Error {
  override readonly name = 'UnfitFileError';
}

function readValue(path: string): string {
  // Without O_NONBLOCK the opening of a pipe waits until somebody writes to it.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(file);
    if (!stats.isFile()) throw new UnfitFileError('which is not a file. It must be one that holds the value.');
    if (stats.size > MOST_BYTES)
      throw new UnfitFileError(
        `which has ${stats.size} bytes. It must hold the value alone, in at most ${MOST_BYTES}.`,
      );
    const value = readFileSync(file, 'utf8').trim();
    if (value === '') throw new UnfitFileError('which is empty. It must hold the value.');
    return value;
  } finally {
    closeSync(file);
  }
}

function explain(error: unknown): string {
  if (error instanceof UnfitFileError) return error.message;
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
  if (code === 'EACCES' || code === 'EPERM') return `which this user may not read (${code}).`;
  return `which cannot be read (${code}).`;
}
