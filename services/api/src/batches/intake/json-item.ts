import type { RowProblem } from '@renderyard/shared/batch/batch';
import { valueProblems } from '../../body/check-value.ts';
import { parseJson } from '../../body/parse-json.ts';
import { ProblemError } from '../../errors/problem-error.ts';
import type { Read, RowReader } from '../rows/read.ts';
import { invalidJsonLine, unsafeItem } from './row-problems.ts';

/** Reads one item, unless it holds what nobody can carry safely: then it is rejected. */
export function readItem(reader: RowReader, line: number, item: unknown): Read {
  const [problem] = valueProblems(item, { exactNumbers: true });
  if (problem === undefined) return reader.readItem(line, item);
  return reader.reject(line, [], unsafeItem(line, problem.code, problem.pointer, problem.detail));
}

/** Reads a line of NDJSON as an item; a line that is no JSON, or gives a name twice, is rejected. */
export function readJsonLine(reader: RowReader, line: number, bytes: Buffer): Read {
  let item: unknown;
  try {
    item = parseJson(bytes);
  } catch (error) {
    if (error instanceof ProblemError) return reader.reject(line, [], lineProblem(line, error, bytes));
    throw error;
  }
  return readItem(reader, line, item);
}

function lineProblem(line: number, error: ProblemError, bytes: Buffer): RowProblem {
  const [first] = error.options.errors ?? [];
  if (error.code === 'invalid_request' && first !== undefined)
    return unsafeItem(line, first.code, first.pointer, first.detail);
  return invalidJsonLine(line, first?.column, bytes.toString('utf8', 0, 1024));
}
