import type { RowProblem } from '@renderyard/shared/batch/batch';

const shown = (text: string) => text.slice(0, 200).toWellFormed();

/** A record of CSV that does not fit its header. @param breaks line breaks inside of its quotes. */
export function wrongFieldCount(line: number, fields: number, columns: number, breaks: number): RowProblem {
  const spans = breaks === 0 ? '' : ` It spans ${breaks + 1} lines: a quote may not be closed.`;
  return {
    line,
    column: null,
    code: 'wrong_field_count',
    value: null,
    detail: `This row has ${fields} fields, the header has ${columns} columns.${spans} Put quotes around a text that holds the delimiter.`,
  };
}

export function rowTooLong(line: number, bytes: number, most: number): RowProblem {
  const detail = `This row takes ${bytes} bytes; ${most} are allowed (MAX_ROW_BYTES). Shorten its texts.`;
  return { line, column: null, code: 'row_too_long', value: null, detail };
}

/** A warning: what was meant is likely, not certain. */
export function bareQuote(line: number, column: string | null, value: string): RowProblem {
  return {
    line,
    column,
    code: 'bare_quote',
    value: shown(value),
    detail:
      'This text holds a quote that is not doubled and does not end the field; it was kept as part of the text. To be sure, put quotes around the text and double those inside.',
  };
}

/** @param column of the line, from 1, where it is known. */
export function invalidJsonLine(line: number, column: number | undefined, text: string): RowProblem {
  const where = column === undefined ? '' : `: what stands at character ${column} is unexpected`;
  return {
    line,
    column: null,
    code: 'invalid_json',
    value: shown(text),
    detail: `This line is not valid JSON${where}. Each line must be one object, as {"prompt":"…"}.`,
  };
}

/** An item that JSON allows and nobody can carry safely. @param code a code of PART_CODES. */
export function unsafeItem(line: number, code: string, pointer: string | undefined, detail: string): RowProblem {
  const at = pointer === undefined || pointer === '' ? '' : ` (at ${pointer})`;
  return { line, column: null, code, value: null, detail: `${detail}${at}` };
}
