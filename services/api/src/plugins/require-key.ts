import { allows, type Scope } from '@renderyard/shared/key/scope';
import type { FastifyReply } from 'fastify';
import type { Access, Caller } from '../access/access.ts';
import type { App } from '../app-instance.ts';
import { ProblemError } from '../errors/problem-error.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose jobs the request sees and makes. */
    account: string;
    caller: Caller;
  }
}

/** Asks for a key on the routes of this scope, finds whose it is, and counts the request against what the key may. */
export function requireKey(app: App, { access }: { readonly access: Access }): void {
  app.decorateRequest('account', '');
  // The empty value is never seen: the hook below runs first.
  app.decorateRequest('caller', null as unknown as Caller);
  app.addHook('onRequest', async (request, reply) => {
    const caller = await access.identify(request.headers.authorization);
    request.caller = caller;
    request.account = caller.account;
    Object.assign(request.record, {
      account: caller.account,
      ...(caller.key === undefined ? {} : { key: caller.key }),
    });
    tellRate(reply, caller);
  });
}

/**
 * Refuses the routes of this scope to keys that may not use them.
 * @param read of GET and HEAD. @param write of all others.
 */
export function requireScope(app: App, { read, write }: { readonly read: Scope; readonly write: Scope }): void {
  app.addHook('onRequest', async ({ method, caller }) => {
    const needed = method === 'GET' || method === 'HEAD' ? read : write;
    if (allows(caller.scopes, needed)) return;
    throw new ProblemError(
      'insufficient_scope',
      `This needs a key with the scope ${needed}; this one has ${caller.scopes.join(', ')}.`,
      // RFC 6750, section 3.
      { headers: { 'www-authenticate': `Bearer realm="renderyard", error="insufficient_scope", scope="${needed}"` } },
    );
  });
}

/**
 * The limit of a key, by draft-ietf-httpapi-ratelimit-headers-10 and as older clients know it.
 * @throws {ProblemError} `rate_limited`.
 */
function tellRate(reply: FastifyReply, { rate }: Caller): void {
  if (rate === undefined) return;
  const { limit, left, resetMs, retryMs } = rate;
  const reset = Math.ceil(resetMs / 1000);
  const headers = {
    'ratelimit-policy': `"requests";q=${limit};w=60`,
    ratelimit: `"requests";r=${left};t=${reset}`,
    'x-ratelimit-limit': String(limit),
    'x-ratelimit-remaining': String(left),
    'x-ratelimit-reset': String(reset),
  };
  reply.headers(headers);
  if (retryMs === undefined) return;
  throw new ProblemError('rate_limited', `This key may send ${limit} requests a minute.`, {
    retryAfter: Math.ceil(retryMs / 1000),
    headers,
  });
}
