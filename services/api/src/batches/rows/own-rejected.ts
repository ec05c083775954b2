import { foldName } from './column-roles.ts';

/** The columns that a list of rejected rows has after the upload's own. */
export const REJECTED_COLUMNS = ['rejected_line', 'rejected_column', 'rejected_code', 'rejected_detail'] as const;

/** What a spreadsheet might run as a formula, with the mark in front that keeps it from doing so. */
const MARKED = /^'+[=+\-@\t\r]/;

/** Whether a header ends as those do that we write for rejected rows, so that the file comes from here. */
export function isOwnRejected(header: readonly string[]): boolean {
  const end = header.slice(-REJECTED_COLUMNS.length).map(foldName);
  return header.length > REJECTED_COLUMNS.length && REJECTED_COLUMNS.every((name, i) => end[i] === name);
}

/**
 * A record of such a file as it was in the upload: without our columns, behind which the fields stand that it has beyond
 * its own, and without our marks.
 * @param width how many columns the upload had.
 */
export function asUploaded<T>(values: readonly T[], width: number): T[] {
  return values.toSpliced(width, REJECTED_COLUMNS.length).map(withoutMark);
}

function withoutMark<T>(value: T): T {
  return typeof value === 'string' && MARKED.test(value) ? (value.slice(1) as T) : value;
}
