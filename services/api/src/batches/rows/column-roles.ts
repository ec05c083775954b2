import { nearestName } from '@renderyard/shared/model/near-name';
import type { Parameter } from '@renderyard/shared/model/parameter';
import { UploadError } from '../upload-error.ts';

/** The columns that hold the user's own id, unless `columns` names another. */
const ID_NAMES = ['id', 'custom_id'];

/** What a column is read for; one that is read for nothing is kept. */
export interface ColumnRole {
  readonly parameters: readonly Parameter[];
  readonly id: boolean;
}

const KEPT: ColumnRole = { parameters: [], id: false };

export interface ColumnRoles {
  /** The role of the column of this name, which {@link foldName} has folded. */
  of(folded: string): ColumnRole;
  /** The names that the option `columns` gives, folded, and as they were written. */
  readonly mapped: ReadonlyMap<string, string>;
  /** Whether `columns` says where the id stands. */
  readonly idMapped: boolean;
}

/** Names of columns are compared in Unicode's form C, without regard to case and to white space around them. */
export function foldName(name: string): string {
  return name.normalize('NFC').trim().toLowerCase();
}

/**
 * Which columns are read for what: those that `columns` names, and else those called as a parameter or the id. A
 * parameter that `columns` takes from elsewhere is not read from the column of its own name as well.
 *
 * @param mapping parameter, `id` or `custom_id` → name of the column
 * @throws {UploadError} `invalid_columns`, with all that is wrong, for what is neither a parameter nor `id`
 */
export function columnRoles(
  parameters: ReadonlyMap<string, Parameter>,
  mapping: Readonly<Record<string, unknown>> = {},
): ColumnRoles {
  const roles = new Map<string, { parameters: Parameter[]; id: boolean }>();
  const mapped = new Map<string, string>();
  const done = new Set<string>();
  const problems: { column: string | null; code: string; detail: string }[] = [];
  const role = (folded: string) => {
    const found = roles.get(folded) ?? { parameters: [], id: false };
    roles.set(folded, found);
    return found;
  };

  for (const [written, column] of Object.entries(mapping)) {
    const target = foldName(written) === 'custom_id' ? 'id' : foldName(written);
    const parameter = parameters.get(target);
    if (target !== 'id' && parameter === undefined) {
      problems.push({ column: null, code: 'unknown_parameter', detail: unknownTarget(written, parameters.keys()) });
    } else if (typeof column !== 'string' || column.trim() === '') {
      problems.push({
        column: null,
        code: 'wrong_type',
        detail: `columns must name a column for ${target}, as in ${target}:name_of_the_column.`,
      });
    } else if (done.has(target)) {
      problems.push({ column, code: 'duplicate_name', detail: `columns names more than one column for ${target}.` });
    } else {
      done.add(target);
      const folded = foldName(column);
      mapped.set(folded, column.trim());
      if (parameter === undefined) role(folded).id = true;
      else role(folded).parameters.push(parameter);
    }
  }
  if (problems.length > 0) {
    const detail = problems.map((problem) => problem.detail).slice(0, 3);
    throw new UploadError('invalid_columns', `The option columns cannot be used. ${detail.join(' ')}`, { problems });
  }

  for (const [name, parameter] of parameters)
    if (!done.has(name) && !mapped.has(name)) role(name).parameters.push(parameter);
  if (!done.has('id')) for (const name of ID_NAMES) if (!mapped.has(name)) role(name).id = true;
  return { of: (folded) => roles.get(folded) ?? KEPT, mapped, idMapped: done.has('id') };
}

function unknownTarget(written: string, parameters: Iterable<string>): string {
  const known = ['id', ...parameters];
  const near = nearestName(written, known, 2);
  const hint = near === undefined ? `It can be ${known.join(', ')}.` : `Did you mean ${near}?`;
  return `columns says where ${JSON.stringify(written.slice(0, 80))} stands, which is no parameter. ${hint}`;
}
