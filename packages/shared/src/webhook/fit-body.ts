/** The body of a webhook is smaller than this many bytes of UTF-8, whatever it tells of. */
export const BODY_BYTES = 20_000;

type Fields = Readonly<Record<string, unknown>>;

/** What is told of an event, and what of it may be left out. */
export interface BodyData {
  /** What a GET shows. */
  readonly data: Fields;
  /** Whether something is missing from `data` already. */
  readonly isCut?: boolean;
  /** Leaves out what may be large. */
  readonly less: (data: Fields) => Fields;
  /** Leaves only what cannot be large, whoever wrote it. */
  readonly least: (data: Fields) => Fields;
}

/**
 * The text of a body: `data` whole, else with less of it and `truncated: true`.
 * @returns text under {@link BODY_BYTES}, provided that `least` keeps nothing of the length that somebody chose.
 */
export function fitBody(
  { type, timestamp }: { readonly type: string; readonly timestamp: string },
  { data, isCut = false, less, least }: BodyData,
): string {
  const body = (fields: Fields, cut: boolean) =>
    JSON.stringify({ type, timestamp, data: cut ? { ...fields, truncated: true } : fields });
  const fits = (text: string) => Buffer.byteLength(text) < BODY_BYTES;
  const whole = body(data, isCut);
  if (fits(whole)) return whole;
  const cut = body(less(data), true);
  return fits(cut) ? cut : body(least(data), true);
}

/** Some fields only, those that are there. */
export function pick(data: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(data).filter(([name]) => names.includes(name)));
}

/** All fields but some. */
export function omit(data: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(data).filter(([name]) => !names.includes(name)));
}
