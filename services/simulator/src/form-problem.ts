/** The part of a validator's error that is shown. */
export interface FormError {
  readonly instancePath: string;
  readonly message: string;
  readonly keyword?: string;
  readonly params?: unknown;
}

/** The words that stand at this place, when only certain words may. */
function wordsAt(errors: readonly FormError[], path: string): readonly string[] {
  return errors.flatMap(({ instancePath, keyword, params }) =>
    keyword === 'const' && instancePath === path && typeof params === 'object' && params !== null
      ? [String((params as { allowedValue?: unknown }).allowedValue)]
      : [],
  );
}

/** What is wrong with a value and where in it, as the end of a sentence: `at /times: it must be >= 1.` */
export function problemOf(errors: readonly FormError[]): string {
  const [first] = errors;
  const path = first?.instancePath ?? '';
  const words = wordsAt(errors, path);
  const what =
    first?.keyword === 'boolean'
      ? 'is not a field that there is'
      : first?.keyword === 'const' && words.length > 0
        ? `must be ${words.length > 1 ? 'one of ' : ''}${words.join(', ')}`
        : (first?.message ?? 'is not valid');
  return `at ${path === '' ? 'its top' : path}: it ${what}.`;
}
