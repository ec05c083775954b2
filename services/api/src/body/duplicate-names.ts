import { MOST_PROBLEMS, type PartProblem, pointer } from '../errors/problem-error.ts';
import { MOST_DEPTH } from './check-value.ts';

/** An object or array that is being read. */
interface Container {
  /** Undefined for an array. */
  readonly names: Set<string> | undefined;
  /** Where in its container it lies. */
  readonly at: string | number;
  /** The name or index of the member that is being read. */
  member: string | number;
}

/**
 * Finds names that an object of a JSON text has twice. `JSON.parse` takes the last of them and other readers the first,
 * so that a request would mean different things to those that it passes (RFC 8259, 4). The time is linear in the text.
 *
 * Names deeper than `MOST_DEPTH` are not compared: such a body is refused for its depth, or because what holds them is
 * itself a duplicate.
 * @param text must be valid JSON.
 */
export function duplicateNames(text: string): readonly PartProblem[] {
  const problems: PartProblem[] = [];
  const open: Container[] = [];
  let expectsName = false;
  for (let at = 0; at < text.length && problems.length < MOST_PROBLEMS; at++) {
    const inner = open.at(-1);
    switch (text.charAt(at)) {
      case '{':
        open.push({ names: new Set(), at: inner?.member ?? '', member: '' });
        expectsName = true;
        break;
      case '[':
        open.push({ names: undefined, at: inner?.member ?? '', member: 0 });
        expectsName = false;
        break;
      case '}':
      case ']':
        open.pop();
        expectsName = false;
        break;
      case ',':
        expectsName = inner?.names !== undefined;
        if (typeof inner?.member === 'number') inner.member++;
        break;
      case '"': {
        const end = endOfString(text, at);
        if (expectsName && inner?.names !== undefined && open.length <= MOST_DEPTH) {
          const name = JSON.parse(text.slice(at, end + 1)) as string;
          if (inner.names.has(name)) problems.push(problemOf(open, name));
          inner.names.add(name);
          inner.member = name;
        }
        expectsName = false;
        at = end;
      }
    }
  }
  return problems;
}

/** The index of the quote that ends the string which begins at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text.charAt(at) !== '"') at += text.charAt(at) === '\\' ? 2 : 1;
  return at;
}

function problemOf(open: readonly Container[], name: string): PartProblem {
  const holder = open.slice(1).reduce((path, container) => pointer(path, container.at), '');
  return {
    pointer: pointer(holder, name),
    code: 'duplicate_name',
    detail: `The name ${JSON.stringify(name.slice(0, 80).toWellFormed())} is given more than once in this object. Give it once.`,
  };
}
