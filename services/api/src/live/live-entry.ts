/** An entry of the stream `live`, which tell.lua writes in the step in which something happens. */
export interface LiveEntry {
  /** Of the stream: milliseconds since 1970 and a number, by which later entries come after earlier ones. */
  readonly id: string;
  /** Empty for what concerns all accounts. */
  readonly account: string;
  readonly type: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly job: string | undefined;
  readonly batch: string | undefined;
  /** Of a row that ended; `line` is its `RowResult` then, as JSON. */
  readonly row: number | undefined;
  readonly line: string | undefined;
  /** The id of the event, of changes of the credits. */
  readonly event: string | undefined;
  /** The id of a webhook, of its being disabled. */
  readonly webhook: string | undefined;
}

/** Before every entry: the position in a stream that is empty. */
export const BEGIN = '0-0';

/** What is listened to: the entries of one job, of one batch with its rows, or of one account. */
export type Topic = `job:${string}` | `batch:${string}` | `account:${string}`;

/** What concerns all accounts, as a topic. */
export const ALL_ACCOUNTS = 'account:';

/** Takes an entry apart: its id, and fields and values in turn. */
export function readEntry([id, fields]: readonly [string, readonly string[]]): LiveEntry {
  const values = new Map<string, string>();
  for (let i = 0; i + 1 < fields.length; i += 2) values.set(fields[i] ?? '', fields[i + 1] ?? '');
  const row = values.get('row');
  return {
    id,
    account: values.get('account') ?? '',
    type: values.get('type') ?? '',
    at: Number(values.get('at') ?? 0),
    job: values.get('job'),
    batch: values.get('batch'),
    row: row === undefined ? undefined : Number(row),
    line: values.get('line'),
    event: values.get('id'),
    webhook: values.get('webhook'),
  };
}

/** The topics that an entry belongs to; {@link ALL_ACCOUNTS} stands for those of all accounts. */
export function topicsOf({ account, job, batch }: LiveEntry): readonly Topic[] {
  const topics: Topic[] = [`account:${account}`];
  if (job !== undefined) topics.push(`job:${job}`);
  if (batch !== undefined) topics.push(`batch:${batch}`);
  return topics;
}

export function isOf(topic: Topic, entry: LiveEntry): boolean {
  const topics = topicsOf(entry);
  return topics.includes(topic) || (topic.startsWith('account:') && topics.includes(ALL_ACCOUNTS));
}

const ID = /^(0|[1-9]\d{0,14})-(0|[1-9]\d{0,14})$/;

/** Whether a text may be the id of an entry. */
export function isEntryId(text: string): boolean {
  return ID.test(text);
}

/** Whether the entry `a` comes after `b`. */
export function isAfter(a: string, b: string): boolean {
  const [ofA, ofB] = [ID.exec(a), ID.exec(b)];
  const [ms, otherMs] = [Number(ofA?.[1]), Number(ofB?.[1])];
  return ms > otherMs || (ms === otherMs && Number(ofA?.[2]) > Number(ofB?.[2]));
}
