import type { RowProblem } from '@renderyard/shared/batch/batch';

/** Everything that a row can be rejected for: a closed list. The first five are those of a single job's input. */
export const ROW_PROBLEM_CODES = [
  'required',
  'unknown_parameter',
  'wrong_type',
  'out_of_range',
  'invalid_format',
  /** A template names a column that is blank in this row. */
  'template_blank',
  /** Another row before it has the same id. */
  'duplicate_id',
  /** Another row before it has the same image key, or one that some file systems take for the same. */
  'duplicate_key',
  /** An item of JSON says the same thing twice. */
  'duplicate_name',
  /** A record of CSV has more or fewer fields than the header. */
  'wrong_field_count',
  'row_too_long',
  /** A line of NDJSON is no JSON. */
  'invalid_json',
  /** An item of JSON holds what cannot be carried safely, as in the body of any other request. */
  'too_deep',
  'not_exact',
  'forbidden_name',
] as const;
export type RowProblemCode = (typeof ROW_PROBLEM_CODES)[number];

/** Everything that a report can warn of: a closed list. */
export const ROW_WARNING_CODES = [
  /** A column that is kept looks like a misspelt parameter. */
  'misspelt_column',
  /** A column with the name of a parameter is kept but not sent, because an option says otherwise. */
  'unused_column',
  'empty_column_name',
  'repeated_column_name',
  'blank_rows',
  /** The image is called a little otherwise than the row says, so that any store and file system can keep it. */
  'key_changed',
  /** Ids that differ, but whose images would share one name. */
  'key_shared',
  /** A quote stands bare inside a field of CSV. */
  'bare_quote',
] as const;
export type RowWarningCode = (typeof ROW_WARNING_CODES)[number];

/** More than this many problems of one row help nobody. */
export const MOST_ROW_PROBLEMS = 10;
const LONGEST_VALUE = 200;

/** A problem of a row. `value` is what stands there; it is cut to 200 characters, and null when it is undefined. */
export function rowProblem(
  line: number,
  column: string | null,
  code: RowProblemCode | RowWarningCode,
  value: unknown,
  detail: string,
): RowProblem {
  return { line, column, code, value: value === undefined ? null : cut(asText(value)), detail };
}

/** A value of any kind as text: texts as they are, all else as JSON. */
export function asText(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
}

/** The first 200 characters, never half of a pair; a lone half becomes U+FFFD. */
function cut(text: string): string {
  if (text.length <= LONGEST_VALUE) return text.toWellFormed();
  const last = text.charCodeAt(LONGEST_VALUE - 1);
  const end = last >= 0xd800 && last < 0xdc00 ? LONGEST_VALUE - 1 : LONGEST_VALUE;
  return text.slice(0, end).toWellFormed();
}
