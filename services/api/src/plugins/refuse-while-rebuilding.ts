import type { Recovery } from '@renderyard/shared/recovery/recovery';
import { GenerationLostError } from '@renderyard/shared/redis/script';
import type { App } from '../app-instance.ts';

/**
 * Refuses the requests of this scope while Redis is rebuilt: it would answer that there is nothing where there is
 * something.
 */
export function refuseWhileRebuilding(app: App, { recovery }: { readonly recovery: Recovery }): void {
  app.addHook('onRequest', async () => {
    if (recovery.rebuilding) throw new GenerationLostError('Redis is being rebuilt from the store');
  });
}
