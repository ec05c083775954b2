import { createHash, timingSafeEqual } from 'node:crypto';
import type { ApiKey } from '@renderyard/shared/config';
import type { App } from '../app-instance.ts';
import { ProblemError } from '../errors/problem-error.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose jobs the request sees and makes. */
    account: string;
  }
}

/** The account of everybody, where no keys are configured. */
const KEYLESS_ACCOUNT = 'default';

/** The names of all accounts that are configured. */
export function accountNames(keys: readonly ApiKey[]): readonly string[] {
  return keys.length === 0 ? [KEYLESS_ACCOUNT] : keys.map(({ name }) => name);
}

/** Asks for a key on the routes of this scope, and finds its account; without configured keys everybody is `default`. */
export function requireKey(app: App, { keys }: { readonly keys: readonly ApiKey[] }): void {
  const known = keys.map(({ name, sha256 }) => ({ name, hash: Buffer.from(sha256, 'hex') }));
  app.decorateRequest('account', '');
  app.addHook('onRequest', async (request) => {
    request.account = known.length === 0 ? KEYLESS_ACCOUNT : accountOf(request.headers.authorization, known);
    request.record.account = request.account;
  });
}

function accountOf(
  header: string | undefined,
  known: readonly { readonly name: string; readonly hash: Buffer }[],
): string {
  const secret = /^Bearer +(\S.*)$/i.exec(header ?? '')?.[1];
  if (secret === undefined)
    throw new ProblemError('unauthorized', undefined, {
      headers: { 'www-authenticate': 'Bearer realm="renderyard"' },
    });
  // Header values are bytes; Node shows each as one character.
  const given = createHash('sha256').update(secret, 'latin1').digest();
  let account: string | undefined;
  // Every key is compared, so that the time tells nothing about which one was near.
  for (const { name, hash } of known) if (timingSafeEqual(hash, given)) account = name;
  if (account === undefined)
    throw new ProblemError('unauthorized', 'This API key is not known here.', {
      headers: { 'www-authenticate': 'Bearer realm="renderyard", error="invalid_token"' },
    });
  return account;
}
