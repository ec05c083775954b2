import { isDrawn } from '@renderyard/shared/model/input';
import type { InputProblem, Parameter } from '@renderyard/shared/model/parameter';

/** A number as people and programs write one plainly: no exponent, no plus, no leading zero, a point and no comma. */
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/;
/** Longer ones have more digits than a number carries. */
const LONGEST_NUMBER = 20;
/** Of a whole number that is added up digit by digit without rounding. */
const EXACT_DIGITS = 15;
const ZERO = 0x30;

/** Whether a cell says nothing: it is not there, null, or text of white space only. */
export function isBlank(value: unknown): boolean {
  if (typeof value !== 'string') return value === undefined || value === null;
  const first = value.charCodeAt(0);
  // Nearly every cell begins with a visible character of ASCII, or is empty.
  if (first > 0x20 && first < 0x7f) return false;
  return value === '' || value.trim() === '';
}

/**
 * What a cell that is not blank gives for a parameter: the value, or an object that says what is wrong. Texts are taken
 * byte for byte. A number may have white space around it, and a whole number may be written `30.0`, as programs write a
 * column in which some cells are blank; every other deviation is refused with what is to be written. A value of JSON
 * must have the right type, or be the text of such a cell.
 */
export function readCell(parameter: Parameter, value: unknown): string | number | boolean | InputProblem {
  if (parameter.seed && isDrawn(value)) return 'random';
  const read = typeof value === 'string' && parameter.kind !== 'text' ? readText(parameter, value) : value;
  if (parameter.seed && isDrawn(read)) return 'random';
  const problem = parameter.check(read);
  if (problem === undefined) return read as string | number | boolean;
  const right = typeof value === 'string' ? rightText(parameter, value) : '';
  return right === '' ? problem : { ...problem, detail: `${problem.detail} Write ${right}.` };
}

/** The value that a text stands for, or the text itself where it stands for none. */
function readText(parameter: Parameter, text: string): unknown {
  if (parameter.kind !== 'constant') {
    const whole = wholeNumber(text);
    if (whole !== undefined) return whole;
  }
  const trimmed = text.trim();
  if (parameter.kind === 'constant' && typeof parameter.constant === 'boolean') {
    const lower = trimmed.toLowerCase();
    return lower === 'true' ? true : lower === 'false' ? false : text;
  }
  if (trimmed.length <= LONGEST_NUMBER && NUMBER.test(trimmed)) return Number(trimmed) + 0;
  return parameter.seed && trimmed === 'random' ? trimmed : text;
}

/**
 * The number of a text of nothing but digits, as nearly every number is written: what {@link NUMBER} and `Number` give,
 * in a fraction of their time. Undefined for every other text.
 */
function wholeNumber(text: string): number | undefined {
  const { length } = text;
  if (length === 0 || length > EXACT_DIGITS || (length > 1 && text.charCodeAt(0) === ZERO)) return undefined;
  let number = 0;
  for (let at = 0; at < length; at++) {
    const digit = text.charCodeAt(at) - ZERO;
    if (digit < 0 || digit > 9) return undefined;
    number = number * 10 + digit;
  }
  return number;
}

/** What is to be written instead, where the text lets it be guessed. */
function rightText(parameter: Parameter, text: string): string {
  const plain = text.trim().toLowerCase();
  if (parameter.kind !== 'text') {
    if (parameter.seed && plain === 'random') return plain;
    const right = plainNumbers(plain).filter((number) => parameter.check(Number(number)) === undefined);
    return [...new Set(right)].join(' or ');
  }
  return plain !== text && parameter.check(plain) === undefined ? plain : '';
}

/** The numbers that may be meant, written plainly. */
function plainNumbers(text: string): string[] {
  if (text.length > LONGEST_NUMBER) return [];
  if (/^-?\d{1,3}(,\d{3})+(\.\d+)?$/.test(text)) return [text.replaceAll(',', ''), text.replace(',', '.')];
  if (/^-?\d+,\d+$/.test(text)) return [text.replace(',', '.')];
  const number = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?)(?: ?(?:[a-z]{1,8}|%))?$/.exec(text)?.[1];
  const plain = number === undefined ? '' : String(Number(number) + 0);
  return NUMBER.test(plain) ? [plain] : [];
}
