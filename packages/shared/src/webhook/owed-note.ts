import type { Store } from '../store/store.ts';
import type { WebhookStore } from './webhook-store.ts';

const KEY = 'owed-webhooks.json';
/** A note is that much older than what it does not know of, at most, in milliseconds. */
const MARGIN_MS = 10_000;

/** Who was owed something at a time, and since when: what an emptied Redis has forgotten. Times are milliseconds since 1970. */
export interface OwedNote {
  readonly at: number;
  readonly receivers: Readonly<Record<string, { readonly account: string; readonly since: number }>>;
}

/**
 * Notes in the store for whom deliveries wait, as often as that has changed. Harmless when several workers do it.
 * The function that is returned throws {StoreError}.
 */
export function createOwedNotes({
  webhooks,
  store,
}: {
  readonly webhooks: Pick<WebhookStore, 'owed'>;
  readonly store: Store;
}): () => Promise<void> {
  let known = '';
  return async () => {
    const { told, ...note } = await webhooks.owed();
    const text = JSON.stringify([told, note.receivers]);
    if (text === known) return;
    await store.put(KEY, Buffer.from(`${JSON.stringify(note satisfies OwedNote)}\n`), {
      contentType: 'application/json',
      // A Redis in which nothing was ever told may be one that has just lost all. What was noted before holds then.
      ifAbsent: told === 0,
    });
    known = text;
  };
}

/**
 * Has a Redis that has lost it read again what may not have been delivered: for those who were owed something since then,
 * for all others since shortly before the note.
 * @param others receivers besides those of the note, with their accounts, and since when they listen
 * @returns how many receivers are to catch up
 * @throws {StoreError}
 */
export async function restoreOwed(
  { webhooks, store }: { readonly webhooks: Pick<WebhookStore, 'requestCatchUp'>; readonly store: Store },
  others: Iterable<{ readonly receiver: string; readonly account: string; readonly from?: number }>,
  onDamaged: (key: string, error: unknown) => void,
): Promise<number> {
  const object = await store.get(KEY);
  if (object === undefined) return 0;
  const text = Buffer.concat((await object.body.toArray()) as Buffer[]).toString('utf8');
  let note: OwedNote;
  try {
    note = JSON.parse(text) as OwedNote;
    if (!Number.isFinite(note.at)) throw new TypeError('This is no note of what is owed.');
  } catch (error) {
    onDamaged(KEY, error);
    return 0;
  }
  const due = new Map<string, { readonly account: string; readonly since: number }>();
  for (const { receiver, account, from = 0 } of others)
    due.set(receiver, { account, since: Math.max(note.at, from) - MARGIN_MS });
  for (const [receiver, { account, since }] of Object.entries(note.receivers))
    due.set(receiver, { account, since: Math.min(since, note.at - MARGIN_MS) });
  for (const [receiver, { account, since }] of due) await webhooks.requestCatchUp(receiver, account, since);
  return due.size;
}
