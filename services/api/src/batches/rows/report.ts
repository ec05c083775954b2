import type { BatchReport, RowProblem } from '@renderyard/shared/batch/batch';

/** A report lists so many errors, and so many warnings; errors beyond are counted. */
const MOST_LISTED = 100;
/** A warning about several records names the lines of the first. */
const LINES_NAMED = 5;

/** Gathers what is told about an upload. */
export interface Report {
  /** Counts a record that was not accepted. */
  reject(problems: readonly RowProblem[]): void;
  /**
   * Notes a warning. Of those with the same code and column the first is shown, once for all.
   *
   * @param detail said of how many there were, and in which lines the first were
   */
  warn(first: Omit<RowProblem, 'detail'>, detail: (count: number, lines: string) => string): void;
  readonly rejected: number;
  result(): BatchReport;
}

interface Noted {
  readonly first: Omit<RowProblem, 'detail'>;
  readonly detail: (count: number, lines: string) => string;
  readonly lines: number[];
  count: number;
}

export function createReport(): Report {
  const errors: RowProblem[] = [];
  const noted = new Map<string, Noted>();
  let rejected = 0;

  const say = ({ first, detail, lines, count }: Noted): RowProblem => {
    const named = `line${count === 1 ? '' : 's'} ${lines.join(', ')}${count > lines.length ? ', …' : ''}`;
    return { ...first, detail: detail(count, named) };
  };

  return {
    reject(problems) {
      rejected++;
      if (errors.length < MOST_LISTED) errors.push(...problems.slice(0, MOST_LISTED - errors.length));
    },

    warn(first, detail) {
      const kind = `${first.code} ${first.column ?? ''}`;
      const known = noted.get(kind);
      if (known !== undefined) {
        known.count++;
        if (known.lines.length < LINES_NAMED) known.lines.push(first.line);
      } else if (noted.size < MOST_LISTED) {
        noted.set(kind, { first, detail, lines: [first.line], count: 1 });
      }
    },

    get rejected() {
      return rejected;
    },

    result: () => ({
      rejected: { count: rejected, errors: [...errors] },
      warnings: [...noted.values()].map(say),
    }),
  };
}
