import type { Store } from '../store/store.ts';
import type { Ledger } from './ledger.ts';

/** The note in the store that an operator holds all work, for a Redis that has to be rebuilt. */
export const OPERATOR_HOLD_KEY = 'holds/operator.json';

/**
 * Holds all work from now on. The hold is in force at once; when this resolves it also outlives Redis.
 * @throws {StoreError} when it could not be noted in the store; it is in force all the same.
 */
export async function holdByOperator(
  { ledger, store }: { readonly ledger: Ledger; readonly store: Store },
  detail: string,
): Promise<void> {
  await ledger.setHold('operator', detail);
  await store.put(OPERATOR_HOLD_KEY, Buffer.from(`${JSON.stringify({ detail })}\n`), {
    contentType: 'application/json',
  });
}

/** Ends the operator's hold. @throws {StoreError} when its note could not be removed; it stands then. */
export async function resumeByOperator({
  ledger,
  store,
}: {
  readonly ledger: Ledger;
  readonly store: Store;
}): Promise<void> {
  await store.delete([OPERATOR_HOLD_KEY]);
  await ledger.releaseHold('operator');
}

/** Puts a hold that was noted in the store into force again. @returns whether there was one. @throws {StoreError} */
export async function restoreOperatorHold({
  ledger,
  store,
}: {
  readonly ledger: Pick<Ledger, 'setHold'>;
  readonly store: Store;
}): Promise<boolean> {
  const object = await store.get(OPERATOR_HOLD_KEY);
  if (object === undefined) return false;
  const text = Buffer.concat((await object.body.toArray()) as Buffer[]).toString('utf8');
  await ledger.setHold('operator', detailOf(text));
  return true;
}

/** A note that was damaged is still a hold. */
function detailOf(text: string): string {
  try {
    const { detail } = JSON.parse(text) as { readonly detail?: unknown };
    if (typeof detail === 'string') return detail;
  } catch {
    // Told in other words below.
  }
  return 'An operator holds all work. It goes on when they resume it.';
}
