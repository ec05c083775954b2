import { timingSafeEqual } from 'node:crypto';
import type { ApiKey } from '@renderyard/shared/config';
import type { KeyRecords } from '@renderyard/shared/key/key-records';
import type { KeyRate, KeyRing } from '@renderyard/shared/key/key-ring';
import { hashToken } from '@renderyard/shared/key/key-token';
import { SCOPES, type Scope } from '@renderyard/shared/key/scope';
import { orAborted } from '@renderyard/shared/or-aborted';
import type { Recovery } from '@renderyard/shared/recovery/recovery';
import { GenerationLostError } from '@renderyard/shared/redis/script';
import { ProblemError } from '../errors/problem-error.ts';
import type { BeginReading } from '../plugins/same-redis.ts';

/** Who asks. */
export interface Caller {
  /** Whose jobs are seen and made. */
  readonly account: string;
  /** Id of a key that was made, or name of one of the settings; undefined where none is asked for. */
  readonly key: string | undefined;
  readonly scopes: readonly Scope[];
  /** Undefined for a key without a limit. */
  readonly rate: KeyRate | undefined;
}

/** The account of everybody, where there are no keys. */
const KEYLESS: Caller = { account: 'default', key: undefined, scopes: SCOPES, rate: undefined };

/** The start waits so long for the store to say whether there are keys. */
const STORE_PATIENCE_MS = 500;

export type Access = ReturnType<typeof createAccess>;

/**
 * Finds out who asks, by the keys of the settings and those that were made. Where there are none at the start everybody is
 * `default`, and goes on to be: a key that is made then is asked for from the next start on. Keys that were all revoked open
 * nothing.
 */
export function createAccess({
  configured,
  ring,
  records,
  recovery,
  beginReading,
}: {
  readonly configured: readonly ApiKey[];
  readonly ring: KeyRing;
  readonly records: Pick<KeyRecords, 'hasAny'>;
  readonly recovery: Pick<Recovery, 'rebuilding'>;
  readonly beginReading: BeginReading;
}) {
  const known = configured.map(({ name, sha256 }) => ({ name, hash: Buffer.from(sha256, 'hex') }));
  let needsKey: boolean | undefined = known.length > 0 ? true : undefined;
  let inStore: boolean | undefined;
  let looking: Promise<void> | undefined;
  let patienceMs = STORE_PATIENCE_MS;

  /**
   * An emptied Redis knows of no keys: it is believed when it is whole, and the store has none either. While the store is away
   * Redis is believed, from request to request.
   */
  async function findOut(): Promise<boolean> {
    if (recovery.rebuilding) throw new GenerationLostError('Redis is being rebuilt from the store');
    const sameRedis = beginReading();
    const any = await ring.hasAny();
    await sameRedis();
    if (!any) await orAborted(lookInStore(), AbortSignal.timeout(patienceMs)).catch(() => undefined);
    patienceMs = 0;
    if (any || inStore !== undefined) needsKey = any || inStore === true;
    return any || inStore === true;
  }

  /** Whether keys lie in the store that Redis was not told of. One that is away is asked again with the next request. */
  function lookInStore(): Promise<void> {
    looking ??= records
      .hasAny()
      .then((found) => {
        inStore = found;
      })
      .catch(() => undefined)
      .finally(() => {
        looking = undefined;
      });
    return looking;
  }

  /** Every key is compared, so that the time tells nothing about which one was near. */
  function findConfigured(token: string): string | undefined {
    const given = Buffer.from(hashToken(token), 'hex');
    let found: string | undefined;
    for (const { name, hash } of known) if (timingSafeEqual(hash, given)) found = name;
    return found;
  }

  return {
    /** Decides whether keys are needed, at the start; where Redis cannot tell yet, the first request does. Never rejects. */
    async decide(): Promise<void> {
      if (needsKey === undefined) await findOut().catch(() => undefined);
    },

    /**
     * @param authorization the header.
     * @throws {ProblemError} `unauthorized`. @throws {GenerationLostError} while Redis is rebuilt. @throws what
     * Redis throws.
     */
    async identify(authorization: string | undefined): Promise<Caller> {
      if (!(needsKey ?? (await findOut()))) return KEYLESS;
      const token = /^Bearer +(\S.*)$/i.exec(authorization ?? '')?.[1];
      if (token === undefined) throw refused(undefined);
      const name = findConfigured(token);
      if (name !== undefined) return { account: name, key: name, scopes: SCOPES, rate: undefined };
      const use = await ring.use(token);
      if (use.verdict === 'unknown') throw refused('This API key is not known here, or was revoked.');
      if (use.verdict === 'expired') throw refused('This API key has expired.');
      return { account: use.key.account, key: use.key.id, scopes: use.key.scopes, rate: use.rate };
    },

    /** All accounts that have a key. @throws what Redis throws. */
    async accounts(): Promise<readonly string[]> {
      const made = await ring.accounts();
      const names = [...new Set([...known.map(({ name }) => name), ...made])];
      return needsKey === true ? names : [...new Set([KEYLESS.account, ...names])];
    },
  };
}

/** RFC 6750: without a token there is no error to name. */
function refused(detail: string | undefined): ProblemError {
  const error = detail === undefined ? '' : ', error="invalid_token"';
  return new ProblemError('unauthorized', detail, {
    headers: { 'www-authenticate': `Bearer realm="renderyard"${error}` },
  });
}
