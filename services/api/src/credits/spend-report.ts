import { toCredits } from '@renderyard/shared/credits/amount';
import type { BookEntry } from '@renderyard/shared/credits/credit-books';
import { type Static, Type } from 'typebox';
import { HOUR_MS } from './spending.ts';

export const SPEND_BY = ['hour', 'batch', 'key'] as const;
export type SpendBy = (typeof SPEND_BY)[number];

const Time = Type.String({ format: 'date-time' });
const Sums = {
  credits: Type.Number({ description: 'Calls of unknown outcome count at their estimate, until they are corrected.' }),
  images: Type.Integer(),
};

/** What was spent, in whole hours. */
export const SpendSchema = Type.Object({
  object: Type.Literal('spend'),
  from: Time,
  to: Time,
  by: Type.Enum([...SPEND_BY]),
  rows: Type.Array(
    Type.Object({
      hour: Type.Optional(Type.String({ format: 'date-time', description: 'When it began. With `by=hour`.' })),
      key: Type.Optional(Type.String({ description: 'Name of the API key. With `by=key` and `by=batch`.' })),
      batch_id: Type.Optional(
        Type.Union([Type.String(), Type.Null()], {
          description: 'With `by=batch`; null for single jobs, and for all that other accounts spent.',
        }),
      ),
      ...Sums,
    }),
  ),
  total: Type.Object(Sums),
});
export type SpendView = Static<typeof SpendSchema>;
type Row = SpendView['rows'][number];

/**
 * Adds the books up: by hour in their order, otherwise the dearest first.
 * @param hours since 1970, from the first to before the last. @param mayShow whether the caller may know of the batches of an account.
 */
export function reportSpend(
  entries: readonly BookEntry[],
  { by, hours, mayShow }: { by: SpendBy; hours: readonly [number, number]; mayShow: (account: string) => boolean },
): SpendView {
  const rows = new Map<string, { readonly names: Partial<Row>; nano: number; images: number }>();
  let nano = 0;
  let images = 0;
  for (const entry of entries) {
    const names = namesOf(entry, by, mayShow);
    const name = JSON.stringify(names);
    const row = rows.get(name) ?? { names, nano: 0, images: 0 };
    row.nano += entry.credits;
    row.images += entry.images;
    rows.set(name, row);
    nano += entry.credits;
    images += entry.images;
  }
  const sorted = by === 'hour' ? [...rows.values()] : [...rows.values()].sort((a, b) => b.nano - a.nano);
  return {
    object: 'spend',
    from: hourBegin(hours[0]),
    to: hourBegin(hours[1]),
    by,
    rows: sorted.map((row) => ({ ...row.names, credits: toCredits(row.nano), images: row.images })),
    total: { credits: toCredits(nano), images },
  };
}

function namesOf(
  { hour, account, batch }: BookEntry,
  by: SpendBy,
  mayShow: (account: string) => boolean,
): Partial<Row> {
  if (by === 'hour') return { hour: hourBegin(hour) };
  if (by === 'key') return { key: account };
  return { key: account, batch_id: batch !== undefined && mayShow(account) ? batch : null };
}

const hourBegin = (hour: number) => new Date(hour * HOUR_MS).toISOString();
