import { StoreError, type StoreErrorKind } from './store-error.ts';

const KINDS: Readonly<Record<string, StoreErrorKind>> = {
  ENOSPC: 'full',
  EDQUOT: 'full',
  EACCES: 'denied',
  EPERM: 'denied',
  EROFS: 'denied',
  EISDIR: 'invalid',
  ENOTDIR: 'invalid',
  ENAMETOOLONG: 'invalid',
  EINVAL: 'invalid',
  EILSEQ: 'invalid',
  EFBIG: 'invalid',
};

const ADVICE: Readonly<Partial<Record<StoreErrorKind, string>>> = {
  full: 'Make space, or let DATA_DIR name a larger disk.',
  denied: 'The user that runs Renderyard must be able to read and write DATA_DIR.',
  invalid: 'Something else lies where the object should, or the file system refuses its name.',
  unavailable: 'It is tried again; if it lasts, see whether the disk is well.',
};

/** The code of a system error, such as `ENOENT`. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Turns a system error into a `StoreError`. @param action what was being done, to complete "… failed". */
export function toDirectoryError(error: unknown, action: string): StoreError {
  if (error instanceof StoreError) return error;
  const code = systemCode(error);
  const kind = KINDS[code ?? ''] ?? 'unavailable';
  const reason = error instanceof Error ? error.message : String(error);
  return new StoreError(kind, `${action} failed: ${reason}. ${ADVICE[kind] ?? ''}`.trimEnd(), { cause: error });
}
