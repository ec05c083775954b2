const FORM = /^(\d{4})-(\d\d)-(\d\d)[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$/;

/** Only roughly the form, for schemas: the rest is checked by {@link readTime}. */
export const TIME_PATTERN = '^\\d{4}-\\d\\d-\\d\\d[Tt].+$';

/**
 * A time as RFC 3339 writes it, in milliseconds since 1970; undefined for anything else, also for a day that there is
 * not, such as 30 February, which parsers turn into another.
 */
export function readTime(value: unknown): number | undefined {
  if (typeof value !== 'string') return undefined;
  const [, year = 0, month = 0, day = 0] = FORM.exec(value)?.map(Number) ?? [];
  const days = new Date(Date.UTC(year, month, 0)).getUTCDate();
  return month < 1 || month > 12 || day < 1 || day > days ? undefined : Date.parse(value.toUpperCase());
}
