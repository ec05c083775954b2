import { isDrawn, unknownParameter } from '@renderyard/shared/model/input';
import type { InputProblem, Parameter } from '@renderyard/shared/model/parameter';
import { UploadError } from '../upload-error.ts';
import { readCell } from './cell.ts';

/** What every row of a batch begins with. */
export interface Defaults {
  /** Every parameter that has a default, of the batch or else of the model; no seed. */
  readonly base: Readonly<Record<string, unknown>>;
  /** The seed of rows that say none; undefined where each draws its own. */
  readonly seed: number | undefined;
}

/**
 * Checks the batch's defaults as the parameters that they are. Null stands for none, as in the input of a job.
 *
 * @throws {UploadError} `invalid_defaults`, with all that is wrong
 */
export function readDefaults(
  parameters: ReadonlyMap<string, Parameter>,
  given: Readonly<Record<string, unknown>> = {},
): Defaults {
  const base: Record<string, unknown> = {};
  const problems: InputProblem[] = [];
  let seed: number | undefined;

  for (const name of Object.keys(given))
    if (!parameters.has(name)) problems.push(unknownParameter(name, parameters.keys()));
  for (const [name, parameter] of parameters) {
    const value = Object.hasOwn(given, name) ? given[name] : undefined;
    const read = value === undefined || value === null ? parameter.default : readCell(parameter, value);
    if (typeof read === 'object') problems.push(read as InputProblem);
    else if (!parameter.seed && read !== undefined) base[name] = read;
    else if (parameter.seed && typeof read === 'number' && !isDrawn(read)) seed = read;
  }
  if (problems.length > 0) {
    const details = problems.slice(0, 3).map(({ detail }) => detail);
    const more = problems.length > details.length ? ` (${problems.length - details.length} more.)` : '';
    throw new UploadError('invalid_defaults', `The option defaults cannot be used. ${details.join(' ')}${more}`, {
      problems: problems
        .slice(0, 20)
        .map(({ parameter, code, detail }) => ({ column: parameter === '' ? null : parameter, code, detail })),
    });
  }
  return { base, seed };
}
