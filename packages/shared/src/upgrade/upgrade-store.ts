import type { Migration, MigrationContext } from './migrations.ts';
import { readStoreVersion, refuseNewerStore, type StoreVersion, writeStoreVersion } from './store-version.ts';
import type { OnStep } from './upgrade-step.ts';

/**
 * Brings the objects of the store to this version, if they are not of it yet. To be done by one process, under the lock
 * under which Redis is rebuilt. Harmless to repeat wherever it was broken off.
 * @throws {NewerStateError} @throws {StoreError} @throws what a migration throws.
 */
export async function upgradeStore(
  { stateVersion, migrations, onStep }: { stateVersion: number; migrations: readonly Migration[]; onStep: OnStep },
  context: MigrationContext,
): Promise<StoreVersion> {
  const { store, signal } = context;
  const found = await readStoreVersion(store, signal);
  refuseNewerStore(found, stateVersion);
  if (found?.state_version === stateVersion && found.upgrading_to === undefined) return found;
  const from = found?.state_version ?? 0;
  const pending = migrations.filter(({ to, store: ofStore }) => to > from && to <= stateVersion && ofStore);
  signal.throwIfAborted();
  // From here on no older version may rebuild a Redis from this store, or it would read what is neither old nor new.
  const begun =
    pending.length === 0
      ? found
      : await writeStoreVersion(store, found, { state_version: from, upgrading_to: stateVersion }, signal);
  for (const { to, store: migrate } of pending) {
    signal.throwIfAborted();
    await onStep(`store to ${to}`);
    await migrate?.(context);
  }
  signal.throwIfAborted();
  await onStep('store migrated');
  return writeStoreVersion(store, begun, { state_version: stateVersion }, signal);
}
