import type { Roster } from '@renderyard/shared/roster/roster';
import type { App } from '../app-instance.ts';
import { ProblemError } from '../errors/problem-error.ts';

/**
 * Refuses the requests of this scope as long as this process has another store than those that were here before: what
 * is put there no worker would find, and rows would fail for it.
 */
export function refuseOtherStore(app: App, { roster }: { readonly roster: Pick<Roster, 'disagreesOn'> }): void {
  app.addHook('onRequest', async () => {
    if (roster.disagreesOn('store'))
      throw new ProblemError(
        'store_unavailable',
        'This API has another store than Redis and the other processes of the installation, and takes no requests until it has the same: see “The store is another one” in docs/operations.md.',
      );
  });
}
