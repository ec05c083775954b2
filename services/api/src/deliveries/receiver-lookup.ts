import type { Redis } from '@renderyard/shared/redis/connect';
import type { Delivery } from '@renderyard/shared/webhook/delivery';

export type ReceiverLookup = ReturnType<typeof createReceiverLookup>;

/** Who receives deliveries, and where: single fields of what webhook-store.ts keeps, without reading the rest. */
export function createReceiverLookup({ redis, prefix }: { readonly redis: Redis; readonly prefix: string }) {
  return {
    /** Where each delivery goes now; undefined where its webhook was deleted. */
    async urlsOf(deliveries: readonly Pick<Delivery, 'receiver' | 'url'>[]): Promise<readonly (string | undefined)[]> {
      const ids = [...new Set(deliveries.filter(({ url }) => url === undefined).map(({ receiver }) => receiver))];
      const found = await Promise.all(ids.map((id) => redis.hget(`${prefix}hook:${id}`, 'url')));
      const urls = new Map(ids.map((id, index) => [id, found[index] ?? undefined]));
      return deliveries.map(({ receiver, url }) => url ?? urls.get(receiver));
    },

    /** Whether there are deliveries of this account to a receiver; all that go to one are of one account. */
    async belongsTo(receiver: string, account: string): Promise<boolean> {
      // Of a webhook that was deleted they are all that is left.
      const [newest] = await redis.zrange(`${prefix}dlvs:to:${receiver}`, '-1', '-1');
      return newest !== undefined && (await redis.hget(`${prefix}dlv:${newest}`, 'account')) === account;
    },

    /** Those of the deliveries that go to this receiver, in their order. */
    async goingTo(receiver: string, ids: readonly string[]): Promise<readonly string[]> {
      const receivers = await Promise.all(ids.map((id) => redis.hget(`${prefix}dlv:${id}`, 'receiver')));
      return ids.filter((_, index) => receivers[index] === receiver);
    },
  };
}
