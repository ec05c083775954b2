import { stringify } from 'csv-stringify/sync';

/** How cells that a spreadsheet would take for formulas are written: made harmless, or byte for byte. */
export type Formulas = 'escape' | 'keep';

/** What a spreadsheet reads as the begin of a formula (OWASP, CSV injection), also behind our own mark. */
const FORMULA = /^'*[=+\-@\t\r]/;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/**
 * Besides what CSV itself asks for, quotes stand around a lone CR or LF, which many readers take for the end of a record,
 * and around a mark of byte order at the begin of a cell, or a reader would take it for that of the file.
 */
const OPTIONS = { record_delimiter: '\r\n', quoted_match: [/[\r\n]/, /^\ufeff/] };

/**
 * A cell that no spreadsheet runs: what begins like a formula and is no plain number gets one `'` in front. What has
 * some already gets one more, so that taking one off every cell that begins with `'` and a formula gives back the text.
 * The option of csv-stringify for this knows no numbers, and cannot be undone.
 */
export function harmless(text: string): string {
  return FORMULA.test(text) && !NUMBER.test(text) ? `'${text}` : text;
}

/** Records of CSV as RFC 4180 has it, each with its line end. Nothing else is done meanwhile: some hundred at a time. */
export function csvText(records: readonly (readonly string[])[], formulas: Formulas): string {
  const cells = formulas === 'keep' ? records : records.map((record) => record.map(harmless));
  return stringify(cells as string[][], OPTIONS);
}

/** A value of an upload as a cell: text as it stands, nothing where there is none, and other JSON as its text. */
export function cellOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return value === null || value === undefined ? '' : JSON.stringify(value);
}
