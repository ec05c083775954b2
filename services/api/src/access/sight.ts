import { allows } from '@renderyard/shared/key/scope';
import type { Access, Caller } from './access.ts';

/** What a caller may know of accounts, in what concerns all of them. */
export interface Sight {
  /** All accounts that have a key. */
  readonly accounts: readonly string[];
  /** Whether there is no other account. */
  readonly alone: boolean;
  /** Jobs and batches of the account. */
  seesWork(account: string): boolean;
  /** What the account has spent and may spend. */
  seesSpending(account: string): boolean;
}

/** @throws what Redis throws. */
export async function createSight(
  access: Pick<Access, 'accounts'>,
  { account: own, scopes }: Pick<Caller, 'account' | 'scopes'>,
): Promise<Sight> {
  const accounts = await access.accounts();
  const alone = accounts.every((account) => account === own);
  const seesWork = (account: string) => alone || account === own;
  return { accounts, alone, seesWork, seesSpending: (account) => seesWork(account) || allows(scopes, 'credits') };
}
