/** What a label says of a value that it does not know. */
export const OTHER = 'other';

/**
 * The values that each label of a family may have. A label whose values came from outside would make a time series of
 * each: whatever is not listed becomes {@link OTHER}. A set may grow until the process serves.
 */
export type LabelValues<L extends string> = Readonly<Record<L, ReadonlySet<string>>>;

/** The values of one observation's labels. */
export type Labels<L extends string> = Readonly<Record<L, string>>;

/** The same labels, each with a value that it may have. */
export function boundLabels<L extends string>(values: LabelValues<L>, given: Labels<L>): Record<L, string> {
  const bounded: Partial<Record<L, string>> = {};
  for (const label in values) bounded[label] = values[label].has(given[label]) ? given[label] : OTHER;
  return bounded as Record<L, string>;
}

/** Every combination of values, but without {@link OTHER}. */
export function allLabels<L extends string>(values: LabelValues<L>): readonly Labels<L>[] {
  let all: Partial<Record<L, string>>[] = [{}];
  for (const label in values)
    all = all.flatMap((labels) => [...values[label]].map((value) => ({ ...labels, [label]: value })));
  return all as Labels<L>[];
}
