import { newSecret } from '@renderyard/shared/ids';
import type { Redis } from '@renderyard/shared/redis/connect';
import { defineScript } from '@renderyard/shared/redis/script';
import { sealSecret, unsealSecret } from '@renderyard/shared/webhook/sealed-secret';

/** An answer that is kept, to be given again. */
export interface KeptAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** How a run of a request ends; see end.lua. */
export type RunEnd =
  /** `sealed`: it holds a secret, and is kept so that only we can read it. */
  { readonly answer: KeptAnswer; readonly sealed?: boolean } | { readonly forget: true } | { readonly release: true };

/** The right to run a request. */
export interface Run {
  /** Id for what the request makes: the same in every run of it. */
  readonly resource: string;
  /** An earlier run broke off, and may have made its change. */
  readonly continued: boolean;
  renew(): Promise<void>;
  /**
   * Tells the fingerprint of a body that was read only now.
   * @returns the first that was told for the key: another one is of another request; undefined when the run is no
   * longer ours.
   */
  tell(content: string): Promise<string | undefined>;
  end(end: RunEnd): Promise<void>;
}

export type Begun =
  | { readonly status: 'run'; readonly run: Run }
  | { readonly status: 'answered'; readonly answer: KeptAnswer; readonly content: string | undefined }
  | { readonly status: 'running'; readonly ms: number }
  | { readonly status: 'reused' };

/** A run that is silent for this long has broken off: whoever repeats its request waits for that. */
const LEASE_MS = 5000;
/** How often a run must be renewed. One renewal may be lost, to a Redis that fails for a moment. */
export const RENEW_MS = 1500;
const KEEP_MS = 24 * 3_600_000;

const here = (file: string) => new URL(file, import.meta.url);
const scripts = {
  begin: defineScript<
    Record<string, unknown>,
    | { status: 'begun' | 'continued'; resource: string }
    | { status: 'answered'; answer: string; content?: string }
    | { status: 'running'; ms: number }
    | { status: 'reused' }
  >(here('begin.lua')),
  end: defineScript<Record<string, unknown>, { ours: boolean; content?: string }>(here('end.lua')),
};

export type IdempotencyStore = ReturnType<typeof createIdempotencyStore>;

/** What became of requests with an Idempotency-Key, for 24 hours from the first. */
export function createIdempotencyStore({
  redis,
  prefix,
  secretKey,
}: {
  readonly redis: Redis;
  readonly prefix: string;
  /** Seals answers that hold a secret. */
  readonly secretKey: Uint8Array;
}) {
  const sealOf = (key: string) => ({ secretKey, endpointId: `Idempotency-Key ${key}` });
  const pack = (key: string, answer: KeptAnswer, sealed: boolean) => {
    const text = JSON.stringify(answer);
    return sealed ? sealSecret(text, sealOf(key)) : text;
  };
  const unpack = (key: string, kept: string) =>
    JSON.parse(kept.startsWith('{') ? kept : unsealSecret(kept, sealOf(key))) as KeptAnswer;
  return {
    /**
     * @param key of one account: account and Idempotency-Key.
     * @param fingerprint of the request: the same key with another one is a mistake of the client.
     * @param resource a new id, used if this is the first run.
     * @throws {UnsealError} when the answer was sealed with another SECRET_KEY.
     */
    async begin(key: string, fingerprint: string, resource: string): Promise<Begun> {
      const owner = newSecret(9);
      const begun = await scripts.begin(redis, prefix, {
        key,
        fingerprint,
        resource,
        owner,
        lease_ms: LEASE_MS,
        keep_ms: KEEP_MS,
      });
      switch (begun.status) {
        case 'answered':
          return { status: 'answered', answer: unpack(key, begun.answer), content: begun.content };
        case 'running':
        case 'reused':
          return begun;
        case 'begun':
        case 'continued':
          return {
            status: 'run',
            run: {
              resource: begun.resource,
              continued: begun.status === 'continued',
              renew: async () => void (await scripts.end(redis, prefix, { key, owner, lease_ms: LEASE_MS })),
              tell: async (content) => (await scripts.end(redis, prefix, { key, owner, content })).content,
              end: async (end) => {
                const what = 'answer' in end ? { answer: pack(key, end.answer, end.sealed ?? false) } : end;
                await scripts.end(redis, prefix, { key, owner, ...what });
              },
            },
          };
      }
    },
  };
}
