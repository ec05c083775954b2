import type { Config } from '@renderyard/shared/config';
import { defaultSecret } from '@renderyard/shared/webhook/sealed-secret';
import { ProblemError } from '../errors/problem-error.ts';

type Settings = Pick<Config, 'S3_BUCKET' | 'SECRET_KEY' | 'WEBHOOK_SECRET'>;

/**
 * Secrets of endpoints lie sealed with SECRET_KEY, and each process that sends must be able to open them. Without a
 * bucket all of them are on this machine, and share the key that was made for DATA_DIR.
 * @throws {ProblemError} `secret_key_missing`.
 */
export function requireSealingKey({ S3_BUCKET, SECRET_KEY }: Settings): void {
  if (S3_BUCKET !== undefined && SECRET_KEY === undefined) throw new ProblemError('secret_key_missing');
}

/**
 * What goes to the own webhooks of jobs and batches is signed with the default secret: WEBHOOK_SECRET, or one that
 * follows from SECRET_KEY.
 * @throws {ProblemError} `secret_key_missing`.
 */
export function requireDefaultSecret(config: Settings): void {
  if (config.WEBHOOK_SECRET === undefined) requireSealingKey(config);
}

/** What signs the own webhooks of an account's jobs and batches. The function throws as {@link requireDefaultSecret}. */
export function createDefaultSecretOf(config: Settings, secretKey: Uint8Array): (account: string) => string {
  return (account) => {
    requireDefaultSecret(config);
    return defaultSecret({ setting: config.WEBHOOK_SECRET, secretKey, account });
  };
}
