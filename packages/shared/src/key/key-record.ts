import { isId } from '../ids.ts';
import { SCOPES, type Scope } from './scope.ts';

/** What a key may use up. */
export interface KeyLimits {
  /** Requests in a minute; null for any number. */
  readonly requests_per_minute: number | null;
}

/** An API key as it lies in the store, created once and never changed. Times are milliseconds since 1970. */
export interface KeyRecord {
  /** `key_…` */
  readonly id: string;
  /** Of its token; see key-token.ts. */
  readonly token_name: string;
  /** Of its token, in hex. */
  readonly sha256: string;
  /** For people. */
  readonly name: string;
  /** Whose jobs, batches and webhooks it makes and sees. */
  readonly account: string;
  readonly scopes: readonly Scope[];
  readonly limits: KeyLimits;
  readonly created_at: number;
  /** The account that made it. */
  readonly created_by: string;
  /** From then on it is refused; null: never. */
  readonly expires_at: number | null;
}

/** That a key was taken back; beside its record. */
export interface KeyRevocation {
  readonly at: number;
  readonly by: string;
}

export const keysPrefix = 'keys/';
export const keyRecordKey = (id: string) => `${keysPrefix}${id}/key.json`;
export const keyRevocationKey = (id: string) => `${keysPrefix}${id}/revoked.json`;

/** What a key of the store below `keysPrefix` is. */
export function parseKeyKey(key: string): { readonly id: string; readonly what: 'record' | 'revocation' } | undefined {
  const [, id = '', file] = /^keys\/([^/]+)\/(key|revoked)\.json$/.exec(key) ?? [];
  return isId('key', id) ? { id, what: file === 'key' ? 'record' : 'revocation' } : undefined;
}

/** Undefined where the text is no record of this key. */
export function parseKeyRecord(text: string, id: string): KeyRecord | undefined {
  try {
    const read = JSON.parse(text) as Partial<KeyRecord> | null;
    const whole =
      read?.id === id &&
      [read.token_name, read.sha256, read.name, read.account, read.created_by].every((it) => typeof it === 'string') &&
      typeof read.created_at === 'number' &&
      (read.expires_at === null || typeof read.expires_at === 'number') &&
      Array.isArray(read.scopes) &&
      read.scopes.every((scope) => SCOPES.includes(scope)) &&
      typeof read.limits === 'object' &&
      read.limits !== null;
    return whole ? (read as KeyRecord) : undefined;
  } catch {
    return undefined;
  }
}
