import { newSecret } from '../ids.ts';
import type { Store } from '../store/store.ts';
import { StoreError } from '../store/store-error.ts';
import { VERSION } from '../version.ts';
import { NewerStateError } from './newer-state-error.ts';

/** Where the store says which version its objects are of. */
export const STORE_VERSION_KEY = 'renderyard.json';

/** What stands there. */
export interface StoreVersion {
  readonly state_version: number;
  /** The objects are being brought to this version, and may be of it in part. */
  readonly upgrading_to?: number;
  /** Of this store: drawn once, so that processes can tell whether they have the same one, whatever its address. */
  readonly id: string;
  /** The version of Renderyard. */
  readonly written_by: string;
  readonly written_at: string;
}

/**
 * @returns undefined for a store that has none: it is empty, or older than all versions.
 * @throws {StoreError} `invalid` when somebody else has written there; any other when the store is away.
 */
export async function readStoreVersion(store: Store, signal?: AbortSignal): Promise<StoreVersion | undefined> {
  const object = await store.get(STORE_VERSION_KEY, signal === undefined ? {} : { signal });
  if (object === undefined) return undefined;
  const text = Buffer.concat((await object.body.toArray()) as Buffer[]).toString('utf8');
  try {
    const read = JSON.parse(text) as StoreVersion;
    if (Number.isSafeInteger(read.state_version) && typeof read.id === 'string') return read;
  } catch {
    // Told below.
  }
  throw new StoreError(
    'invalid',
    `${STORE_VERSION_KEY} in the store does not say which version its objects are of. Restore it; or, if no newer version than this one has ever run here, stop all processes, delete it, and start them again.`,
  );
}

/** Writes the version, and the id of the store if it has none yet. @param signal gives up a write that hangs. */
export async function writeStoreVersion(
  store: Store,
  before: StoreVersion | undefined,
  version: Pick<StoreVersion, 'state_version' | 'upgrading_to'>,
  signal: AbortSignal,
): Promise<StoreVersion> {
  const written: StoreVersion = {
    ...version,
    id: before?.id ?? newSecret(12),
    written_by: VERSION,
    written_at: new Date().toISOString(),
  };
  const body = Buffer.from(`${JSON.stringify(written)}\n`);
  await store.put(STORE_VERSION_KEY, body, { contentType: 'application/json', signal });
  return written;
}

/** @throws {NewerStateError} for a store of a newer version than `known`, or on its way there. */
export function refuseNewerStore(found: StoreVersion | undefined, known: number): void {
  const version = Math.max(found?.state_version ?? 0, found?.upgrading_to ?? 0);
  if (version > known)
    throw new NewerStateError({ where: 'the store', found: version, known, writtenBy: found?.written_by });
}
