import type { Clock } from '@renderyard/shared/clock';
import { newId } from '@renderyard/shared/ids';
import type { KeyRecord } from '@renderyard/shared/key/key-record';
import type { FoundKey, KeyRecords } from '@renderyard/shared/key/key-records';
import type { KeyRing } from '@renderyard/shared/key/key-ring';
import { hashToken, newKeyToken } from '@renderyard/shared/key/key-token';
import type { Logger } from '@renderyard/shared/logger';
import { asDecided } from '../errors/decided-problem.ts';
import { ProblemError } from '../errors/problem-error.ts';
import type { NewKey } from './key-body.ts';

export type KeyDesk = ReturnType<typeof createKeyDesk>;

/** Makes and revokes API keys: in the store first, which is the record, then in Redis, by which they are found. */
export function createKeyDesk({
  records,
  ring,
  clock,
  logger,
}: {
  readonly records: KeyRecords;
  readonly ring: Pick<KeyRing, 'put'>;
  readonly clock: Clock;
  readonly logger: Logger;
}) {
  const found = async (id: string): Promise<FoundKey> => {
    const key = await records.read(id);
    if (key === undefined) throw new ProblemError('not_found', 'There is no such key.');
    return key;
  };

  async function revoke(id: string, by: string): Promise<void> {
    const { record } = await found(id);
    const revoked = { at: clock.now(), by };
    const first = await records.revoke(id, revoked);
    try {
      await ring.put([{ record, revoked }]);
    } catch (error) {
      throw asDecided(error, { key_id: id });
    }
    if (first) logger.info({ key: id, account: record.account, by }, 'an API key was revoked');
  }

  return {
    find: found,
    revoke,
    /** A page of all keys, the newest first. @param before an id; those after it are left out, and itself. */
    async list({ before, limit }: { readonly before: string | undefined; readonly limit: number }) {
      const ids = (await records.listIds()).toReversed().filter((id) => before === undefined || id < before);
      const page = await Promise.all(ids.slice(0, limit).map((id) => records.read(id)));
      return { keys: page.filter((key) => key !== undefined), last: ids[limit - 1], more: ids.length > limit };
    },
    /**
     * @param id of the request: the same where it is repeated.
     * @param continued an earlier run broke off. What it made is revoked: nobody has seen its secret.
     * @param by the account that asks.
     * @returns the key, and its secret, which is kept nowhere.
     */
    async create(
      { name, account, scopes, limits, expiresAt }: NewKey,
      { id, continued, by }: { readonly id: string; readonly continued: boolean; readonly by: string },
    ): Promise<{ readonly key: FoundKey; readonly secret: string }> {
      if (continued && (await records.read(id)) !== undefined) await revoke(id, by);
      const { token, name: tokenName } = newKeyToken();
      const record: KeyRecord = {
        ...{ id: continued ? newId('key') : id, token_name: tokenName, sha256: hashToken(token) },
        ...{ name, account: account ?? by, scopes, limits },
        ...{ created_at: clock.now(), created_by: by, expires_at: expiresAt },
      };
      if (!(await records.create(record))) throw new Error(`there is a key ${record.id} already`);
      const key: FoundKey = { record, revoked: undefined };
      await ring.put([key]);
      logger.info({ key: record.id, account: record.account, scopes, by }, 'an API key was made');
      return { key, secret: token };
    },
  };
}
