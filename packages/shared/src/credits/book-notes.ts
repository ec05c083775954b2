import type { Store } from '../store/store.ts';
import { BOOKS_DAYS, type NotedBooks } from './credit-books.ts';
import type { Ledger } from './ledger.ts';

const PREFIX = 'books/';
const DAY_MS = 86_400_000;

/** @param day days since 1970 */
const booksKey = (day: number) => `${PREFIX}${new Date(day * DAY_MS).toISOString().slice(0, 10)}.json`;

/**
 * Notes in the store what the books say of days that have changed, so that budgets outlive Redis. Harmless when several
 * workers do it at once.
 * @throws {StoreError}
 */
export async function noteBooks({ ledger, store }: { readonly ledger: Ledger; readonly store: Store }): Promise<void> {
  for (const { text, ...noted } of await ledger.unnotedBooks()) {
    await store.put(booksKey(noted.day), Buffer.from(`${text}\n`), { contentType: 'application/json' });
    await ledger.notedBooks(noted);
  }
}

/**
 * Puts noted books back into a Redis that has lost them, the newest first: what was noted of another upstream than the
 * newest one's is left out.
 * @param onDamaged told of what cannot be read, which is left out
 * @throws {StoreError}
 */
export async function restoreBooks(
  { ledger, store }: { readonly ledger: Pick<Ledger, 'restoreBooks'>; readonly store: Store },
  now: number,
  onDamaged: (key: string, error: unknown) => void,
): Promise<void> {
  const keys: string[] = [];
  const after = booksKey(Math.floor(now / DAY_MS) - BOOKS_DAYS - 1);
  for await (const { key } of store.list(PREFIX, { after })) keys.push(key);
  let newest = true;
  for (const key of keys.reverse()) {
    const object = await store.get(key);
    if (object === undefined) continue;
    const text = Buffer.concat((await object.body.toArray()) as Buffer[]).toString('utf8');
    let books: NotedBooks;
    try {
      books = parseBooks(text);
    } catch (error) {
      onDamaged(key, error);
      continue;
    }
    // What keys have spent in all may have been corrected since an older day was noted.
    await ledger.restoreBooks(newest ? books : { ...books, keys: {} });
    newest = false;
  }
}

function parseBooks(text: string): NotedBooks {
  const books = JSON.parse(text) as NotedBooks;
  const amounts = [books.keys, ...Object.values(books.hours)].flatMap((entries) => Object.values(entries));
  if (!amounts.every((amount) => /^-?\d{1,16}$/.test(amount))) throw new TypeError('These are no books.');
  return books;
}
