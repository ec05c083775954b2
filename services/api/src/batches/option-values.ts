import type { Nanocredits } from '@renderyard/shared/credits/amount';
import { checkInput } from '@renderyard/shared/model/input';
import { DEFAULT_MODEL, findModel, MODELS, type Model } from '@renderyard/shared/model/model';
import { duplicateNames } from '../body/duplicate-names.ts';
import { CREDITS_RANGE, readCreditsAmount } from '../body/read-credits-amount.ts';
import { type PartProblem, pointer } from '../errors/problem-error.ts';
import type { GivenOption } from './option-reader.ts';

/** Characters. */
const LONGEST_NAME = 200;

/** Each reads one option; what is wrong goes into `problems`, and what is left out, or wrong, is undefined. */
type Read<T> = (given: GivenOption | undefined, problems: PartProblem[]) => T | undefined;

export const readName: Read<string> = (given, problems) => {
  if (given === undefined) return undefined;
  const { value, at } = given;
  if (typeof value === 'string' && value.length <= LONGEST_NAME && value.isWellFormed() && /\S/.test(value)) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
    if (!/[\u0000-\u001f\u007f]/.test(value)) return value;
  }
  problems.push({
    pointer: at,
    code: typeof value === 'string' ? 'invalid_format' : 'wrong_type',
    detail: `name must be text of 1 to ${LONGEST_NAME} characters on one line.`,
  });
  return undefined;
};

export const readBudget: Read<Nanocredits> = (given, problems) => {
  if (given === undefined) return undefined;
  const { value, at, isText } = given;
  const budget = readCreditsAmount(value, isText);
  // A batch that may spend nothing is one to pause.
  if (typeof budget === 'number' && budget > 0) return budget;
  problems.push({
    pointer: at,
    code: typeof budget === 'number' ? 'out_of_range' : budget,
    detail: `budget must be a number of credits above 0 and at most ${CREDITS_RANGE}, such as 12.5.`,
  });
  return undefined;
};

export const readFlag: Read<boolean> = (given, problems) => {
  if (given === undefined) return undefined;
  const { name, value, at, isText } = given;
  if (typeof value === 'boolean') return value;
  if (isText && (value === 'true' || value === '1' || value === '')) return true;
  if (isText && (value === 'false' || value === '0')) return false;
  problems.push({
    pointer: at,
    code: isText ? 'invalid_format' : 'wrong_type',
    detail: `${name} must be true or false.`,
  });
  return undefined;
};

export function readWord<const W extends string>(
  given: GivenOption | undefined,
  words: readonly W[],
  problems: PartProblem[],
): W | undefined {
  if (given === undefined) return undefined;
  const word = words.find((each) => each === given.value);
  if (word === undefined)
    problems.push({
      pointer: given.at,
      code: typeof given.value === 'string' ? 'invalid_format' : 'wrong_type',
      detail: `${given.name} must be one of ${words.join(', ')}.`,
    });
  return word;
}

/** A text with `{{column}}`s in it; which columns there are is found out when the upload is read. */
export function readTemplate(
  given: GivenOption | undefined,
  mostCharacters: number,
  problems: PartProblem[],
): string | undefined {
  if (given === undefined) return undefined;
  const { name, value, at } = given;
  if (typeof value === 'string' && value.length <= mostCharacters && value.isWellFormed() && /\S/.test(value))
    return value;
  problems.push({
    pointer: at,
    code: typeof value === 'string' ? 'invalid_format' : 'wrong_type',
    detail: `${name} must be text of 1 to ${mostCharacters} characters, such as {{id}}.`,
  });
  return undefined;
}

export function readModel(given: GivenOption | undefined, problems: PartProblem[]): Model {
  const model = findModel(typeof given?.value === 'string' ? given.value : DEFAULT_MODEL) as Model | undefined;
  if (model !== undefined && (given === undefined || typeof given.value === 'string')) return model;
  problems.push({
    pointer: given?.at ?? '/model',
    code: typeof given?.value === 'string' ? 'unknown_model' : 'wrong_type',
    detail: `model must be one of ${MODELS.map(({ slug }) => slug).join(', ')}, or left out.`,
  });
  return MODELS[0] as Model;
}

/** An object: as it is in JSON, as JSON in a text. */
export const readObject: Read<Readonly<Record<string, unknown>>> = (given, problems) => {
  if (given === undefined) return undefined;
  const { name, at, isText } = given;
  let { value } = given;
  // A JSON file in a form brings objects where the form itself has texts.
  if (isText && typeof value === 'string') {
    const text = value;
    try {
      value = JSON.parse(text) as unknown;
    } catch {
      problems.push({ pointer: at, code: 'invalid_format', detail: `${name} must be a JSON object, but is no JSON.` });
      return undefined;
    }
    const [twice] = duplicateNames(text);
    if (twice !== undefined) {
      problems.push({ ...twice, pointer: at });
      return undefined;
    }
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  problems.push({ pointer: at, code: 'wrong_type', detail: `${name} must be a JSON object.` });
  return undefined;
};

/** Parameters for rows that leave them blank. Each is checked as it would be in a row. */
export function readDefaults(
  given: GivenOption | undefined,
  model: Model,
  problems: PartProblem[],
): Readonly<Record<string, unknown>> | undefined {
  const defaults = readObject(given, problems);
  if (given === undefined || defaults === undefined) return undefined;
  const set = Object.fromEntries(Object.entries(defaults).filter(([, value]) => value !== null));
  // A prompt is asked for in every row, not here.
  const checked = checkInput(model, { prompt: 'x', ...set }, () => 0);
  if (checked.ok) return set;
  for (const { parameter, code, detail } of checked.problems)
    problems.push({
      pointer: given.isText ? given.at : pointer(given.at, parameter),
      code,
      detail: `defaults: ${detail}`,
    });
  return undefined;
}

/** Parameter → column, as a JSON object or as `prompt:text,style:look`. */
export function readColumns(
  given: GivenOption | undefined,
  model: Model,
  problems: PartProblem[],
): Readonly<Record<string, string>> | undefined {
  if (given === undefined) return undefined;
  const { value, at, isText } = given;
  const refuse = (code: PartProblem['code'], detail: string) => {
    problems.push({ pointer: at, code, detail });
    return undefined;
  };
  const isPairs = typeof value === 'string' && !value.trimStart().startsWith('{');
  const pairs = isPairs
    ? value
        .split(',')
        .map((pair) => [pair.slice(0, pair.indexOf(':')).trim(), pair.slice(pair.indexOf(':') + 1)] as const)
    : Object.entries(readObject({ ...given, isText: isText || typeof value === 'string' }, problems) ?? {});
  if (isPairs && value.split(',').some((pair) => !pair.includes(':')))
    return refuse(
      'invalid_format',
      'columns must be pairs of a parameter and a column, such as prompt:text,seed:number.',
    );
  const names = [...Object.keys(model.parameters.properties), 'id', 'custom_id'];
  const columns = new Map<string, string>();
  for (const [name, column] of pairs) {
    if (!names.includes(name.trim().toLowerCase()))
      return refuse(
        'unknown_parameter',
        `columns: ${JSON.stringify(name.slice(0, 80))} is no parameter. There are ${names.join(', ')}.`,
      );
    if (typeof column !== 'string' || column.trim() === '')
      return refuse('wrong_type', `columns: ${name} must name a column, as a text that is not blank.`);
    if (columns.has(name)) return refuse('duplicate_name', `columns: ${name} is given more than once. Give it once.`);
    columns.set(name, column);
  }
  return columns.size === 0 ? undefined : Object.fromEntries(columns);
}
