import type { Parameter } from '@renderyard/shared/model/parameter';
import { type ColumnRoles, foldName } from './column-roles.ts';
import { meantName } from './misspelt.ts';
import type { Report } from './report.ts';
import { rowProblem } from './row-problem.ts';

/**
 * Warns of columns that are read for nothing though they look as if they were meant for something: a misspelt parameter,
 * or one that an option keeps from being read.
 *
 * @param columns each with the line in which it was first seen
 * @param used names that templates have, folded
 */
export function warnOfColumns(
  columns: Iterable<readonly [name: string, line: number]>,
  parameters: ReadonlyMap<string, Parameter>,
  roles: ColumnRoles,
  used: ReadonlyMap<string, string>,
  templated: string | undefined,
  report: Report,
): void {
  const all = [...columns].map(([name, line]) => ({ name, line, folded: foldName(name) }));
  const there = new Set<string>();
  for (const { folded } of all) {
    const { parameters: read, id } = roles.of(folded);
    for (const { name } of read) there.add(name);
    if (id) there.add('id');
  }
  if (templated !== undefined) there.add(templated);
  const free = ['id', 'custom_id', ...parameters.keys()].filter(
    (name) => !there.has(name === 'custom_id' ? 'id' : name),
  );

  for (const { name, line, folded } of all) {
    const { parameters: read, id } = roles.of(folded);
    if (folded === '' || used.has(folded) || id || read.some((parameter) => parameter.name !== templated)) continue;
    if (folded === templated) {
      report.warn(
        rowProblem(line, name, 'unused_column', name, ''),
        () =>
          `The column ${name} is kept but not sent: prompt_template, which does not name it, writes the ${templated}.`,
      );
    } else if (parameters.has(folded)) {
      report.warn(
        rowProblem(line, name, 'unused_column', name, ''),
        () => `The column ${name} is kept but not sent: the option columns takes ${folded} from another one.`,
      );
    } else {
      const meant = meantName(name, free);
      if (meant === undefined) continue;
      report.warn(
        rowProblem(line, name, 'misspelt_column', name, ''),
        () => `The column ${name} is kept but not sent, as there is no such parameter. Did you mean ${meant}?`,
      );
    }
  }
}
