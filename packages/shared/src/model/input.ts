import { drawSeed } from '../ids.ts';
import type { Model } from './model.ts';
import { nearestName } from './near-name.ts';
import { type InputProblem, parametersOf, showValue } from './parameter.ts';

export type CheckedInput =
  | { readonly ok: true; readonly input: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly problems: readonly InputProblem[] };

/** More than this many problems of one input help nobody. */
const MOST_PROBLEMS = 20;
/** A name is taken for a misspelt parameter when no more than this many letters are wrong. */
const NEAR = 3;

/**
 * Checks what a user gave against the model's parameters and fills in every default, so that the result is the body
 * of the call as it will be sent. A seed that is left out, `"random"` or -1 is drawn here, so that the render can be
 * repeated; upstream would use the same fixed seed for every image.
 */
export function checkInput(
  model: Model,
  given: Readonly<Record<string, unknown>>,
  seed: () => number = drawSeed,
): CheckedInput {
  const parameters = parametersOf(model);
  const problems: InputProblem[] = [];
  const input: Record<string, unknown> = {};

  for (const name of Object.keys(given)) {
    if (problems.length === MOST_PROBLEMS) break;
    if (!parameters.has(name)) problems.push(unknownParameter(name, parameters.keys()));
  }
  for (const [name, parameter] of parameters) {
    const value = Object.hasOwn(given, name) ? given[name] : undefined;
    const missing = value === undefined || value === null;
    if (parameter.seed && (missing || isDrawn(value))) {
      input[name] = seed();
    } else if (missing) {
      if (parameter.default !== undefined) input[name] = parameter.default;
      else if (parameter.required) problems.push(parameter.missing());
    } else {
      const problem = parameter.check(value);
      if (problem === undefined) input[name] = value;
      else problems.push(problem);
    }
  }
  return problems.length > 0 ? { ok: false, problems: problems.slice(0, MOST_PROBLEMS) } : { ok: true, input };
}

/** Whether the value of a seed asks for one to be drawn. */
export function isDrawn(value: unknown): boolean {
  return value === 'random' || value === -1;
}

/** What is to be said of a name that no parameter has. */
export function unknownParameter(name: string, known: Iterable<string>): InputProblem {
  const names = [...known];
  const near = nearestName(name, names, NEAR);
  const hint = near === undefined ? ` The parameters are ${names.join(', ')}.` : ` Did you mean ${near}?`;
  return {
    parameter: name.slice(0, 80),
    code: 'unknown_parameter',
    detail: `There is no parameter ${showValue(name.slice(0, 80))}.${hint}`,
  };
}
