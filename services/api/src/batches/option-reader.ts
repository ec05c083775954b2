import { type PartProblem, pointer } from '../errors/problem-error.ts';
import { meantName } from './rows/misspelt.ts';

/** Where options were given: as texts in a query or in a form, or as members of a JSON object. */
export interface OptionSource {
  readonly kind: 'query' | 'form' | 'json';
  readonly values: Readonly<Record<string, unknown>>;
}

/** One option as it was given. */
export interface GivenOption {
  readonly name: string;
  readonly value: unknown;
  /** Its place in the request: `?name`, or a JSON pointer. */
  readonly at: string;
  /** Whether it came as a text, whatever it means. */
  readonly isText: boolean;
}

/**
 * Brings the options of a request together. A text that is empty counts as left out, but for those of `flags`: `?dry_run`
 * means that it is wanted.
 * @param known names of options.
 */
export function collectOptions(
  sources: readonly OptionSource[],
  {
    known,
    flags,
    problems,
  }: { readonly known: readonly string[]; readonly flags: readonly string[]; readonly problems: PartProblem[] },
): ReadonlyMap<string, GivenOption> {
  const given = new Map<string, GivenOption>();
  for (const { kind, values } of sources) {
    for (const [name, value] of Object.entries(values)) {
      const at = kind === 'query' ? `?${name.slice(0, 80).toWellFormed()}` : pointer('', name);
      const isText = kind !== 'json';
      // A form refuses a field that comes twice; its lists are those of a JSON file in it.
      const isRepeated = kind === 'query' && Array.isArray(value);
      const empty = value === null || value === undefined || (isText && value === '' && !flags.includes(name));
      if (!known.includes(name)) problems.push(unknownOption(name, at, known));
      else if (given.has(name) || isRepeated)
        problems.push({
          pointer: at,
          code: 'duplicate_name',
          detail: `${name} is given more than once. Give it once.`,
        });
      else if (!empty) given.set(name, { name, value, at, isText });
    }
  }
  return given;
}

function unknownOption(name: string, at: string, known: readonly string[]): PartProblem {
  const near = meantName(name.slice(0, 80), known);
  const hint = near === undefined ? `The options are ${known.join(', ')}.` : `Did you mean ${near}?`;
  const shown = JSON.stringify(name.slice(0, 80).toWellFormed());
  return { pointer: at, code: 'unknown_field', detail: `There is no option ${shown}. ${hint}` };
}
