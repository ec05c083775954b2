import { MOST_PROBLEMS, type PartProblem, pointer } from '../errors/problem-error.ts';

/** Levels; deeper than any request needs. It keeps what walks the value off the end of the stack. */
export const MOST_DEPTH = 32;

/**
 * Finds in a parsed body what JSON allows but nobody can carry safely: names that poison prototypes, halves of
 * surrogate pairs, bottomless nesting and, where asked, numbers that were not read exactly.
 * @param at JSON pointer of the value in the body.
 */
export function valueProblems(
  value: unknown,
  {
    mostDepth = MOST_DEPTH,
    at = '',
    exactNumbers = false,
  }: { readonly mostDepth?: number; readonly at?: string; readonly exactNumbers?: boolean } = {},
): readonly PartProblem[] {
  const problems: PartProblem[] = [];
  const visit = (child: unknown, here: string, depth: number): void => {
    if (problems.length >= MOST_PROBLEMS) return;
    const problem = textProblem(child) ?? (exactNumbers ? numberProblem(child) : undefined);
    if (problem !== undefined) problems.push({ pointer: here, ...problem });
    if (typeof child !== 'object' || child === null) return;
    if (depth > mostDepth) {
      problems.push({
        pointer: here,
        code: 'too_deep',
        detail: `This is nested deeper than ${mostDepth} levels.`,
      });
      return;
    }
    for (const [name, inner] of Object.entries(child)) {
      const nameProblem = problemOfName(name);
      if (nameProblem !== undefined) problems.push({ pointer: pointer(here, name), ...nameProblem });
      visit(inner, pointer(here, name), depth + 1);
    }
  };
  visit(value, at, 1);
  return problems;
}

function textProblem(value: unknown): Omit<PartProblem, 'pointer'> | undefined {
  if (typeof value === 'string' && !value.isWellFormed())
    return {
      code: 'invalid_format',
      detail: 'This text holds half of a surrogate pair, which no encoding can carry.',
    };
  return undefined;
}

function numberProblem(value: unknown): Omit<PartProblem, 'pointer'> | undefined {
  if (
    typeof value === 'number' &&
    (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value)))
  )
    return {
      code: 'not_exact',
      detail: 'This number is too large to be kept exactly (more than 2^53): write it as text.',
    };
  return undefined;
}

function problemOfName(name: string): Omit<PartProblem, 'pointer'> | undefined {
  if (name === '__proto__')
    return { code: 'forbidden_name', detail: 'A field cannot be named __proto__. Use another name.' };
  if (!name.isWellFormed())
    return { code: 'invalid_format', detail: 'This name holds half of a surrogate pair, which no encoding can carry.' };
  return undefined;
}
