import { isBlank } from './cell.ts';
import { foldName } from './column-roles.ts';
import { asText, type RowProblemCode } from './row-problem.ts';
import type { TemplatePiece } from './template.ts';

/** What a name in a template of keys can mean besides a column. */
const OWN_NAMES = ['row', 'line', 'seed', 'id'] as const;
export type OwnName = (typeof OWN_NAMES)[number];

export function isOwnName(folded: string): folded is OwnName {
  return (OWN_NAMES as readonly string[]).includes(folded);
}

/** A piece of a template that knows where its value comes from. */
export type BoundPiece =
  | { readonly kind: 'text'; readonly text: string }
  /** Spellings of one name may be several columns, of JSON; the list grows as items bring new ones. */
  | { readonly kind: 'column'; readonly name: string; readonly columns: readonly number[] }
  | { readonly kind: 'own'; readonly name: OwnName };

/** Why a template cannot be filled in for a row. */
export interface TemplateProblem {
  /** The name as the template has it. */
  readonly name: string;
  readonly column: number | undefined;
  readonly code: RowProblemCode;
  readonly value: unknown;
  readonly detail: string;
}

/**
 * Binds a piece to a column, or, in a template of keys, to what a row has besides. `seed` and `id` always mean the row's
 * own; `row` and `line` only where no column is called so.
 *
 * @param columns the columns of that name, which may grow; undefined where there is none
 */
export function bindPiece(
  piece: TemplatePiece,
  forKeys: boolean,
  columns: (folded: string) => readonly number[] | undefined,
): BoundPiece | undefined {
  if ('text' in piece) return { kind: 'text', text: piece.text };
  const folded = foldName(piece.name);
  const own = forKeys && isOwnName(folded) ? folded : undefined;
  if (own === 'seed' || own === 'id') return { kind: 'own', name: own };
  const found = columns(folded);
  if (found !== undefined) return { kind: 'column', name: piece.name, columns: found };
  return own === undefined ? undefined : { kind: 'own', name: own };
}

/** Says what keeps a template from being filled in, if anything does. */
export function templateProblems(
  option: string,
  pieces: readonly BoundPiece[],
  values: readonly unknown[],
  id: string | undefined,
): readonly TemplateProblem[] | undefined {
  let problems: TemplateProblem[] | undefined;
  for (const piece of pieces) {
    if (piece.kind === 'text') continue;
    const problem = pieceProblem(option, piece, values, id);
    if (problem === undefined || problems?.some(({ name }) => name === problem.name)) continue;
    problems ??= [];
    problems.push(problem);
  }
  return problems;
}

function pieceProblem(
  option: string,
  piece: Exclude<BoundPiece, { kind: 'text' }>,
  values: readonly unknown[],
  id: string | undefined,
): TemplateProblem | undefined {
  const { name } = piece;
  const say = (code: RowProblemCode, column: number | undefined, detail: string): TemplateProblem => ({
    name,
    column,
    code,
    value: column === undefined ? undefined : values[column],
    detail,
  });
  const blank = `${name} is blank, but ${option} needs it: give it a value.`;
  if (piece.kind === 'own')
    return piece.name === 'id' && id === undefined ? say('template_blank', undefined, blank) : undefined;
  let found: number | undefined;
  for (const column of piece.columns) {
    if (isBlank(values[column])) continue;
    if (found !== undefined) return say('duplicate_name', column, `${name} is there twice: keep one of them.`);
    found = column;
  }
  if (found === undefined) return say('template_blank', piece.columns[0], blank);
  if (typeof values[found] !== 'object') return undefined;
  return say('wrong_type', found, `${name} cannot be put into ${option}: it must be text, a number, true or false.`);
}

/** Fills a template in, whose {@link templateProblems} are none. Values are put in as they are. */
export function fillTemplate(
  pieces: readonly BoundPiece[],
  values: readonly unknown[],
  own: (name: OwnName) => string,
): string {
  let filled = '';
  for (const piece of pieces) {
    if (piece.kind === 'text') filled += piece.text;
    else if (piece.kind === 'own') filled += own(piece.name);
    else {
      const column = piece.columns.find((index) => !isBlank(values[index]));
      if (column !== undefined) filled += asText(values[column]);
    }
  }
  return filled;
}
