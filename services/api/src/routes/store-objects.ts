import type { Clock } from '@renderyard/shared/clock';
import { inlineDisposition } from '@renderyard/shared/store/object-headers';
import { keyProblem } from '@renderyard/shared/store/object-key';
import { parseRange } from '@renderyard/shared/store/object-range';
import { type LinkGrant, verifyLink } from '@renderyard/shared/store/signed-link';
import type { ObjectInfo, Store } from '@renderyard/shared/store/store';
import { StoreError } from '@renderyard/shared/store/store-error';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

export interface StoreObjectsOptions {
  readonly store: Store;
  /** The same that the store signs its links with. */
  readonly signingKey: Uint8Array;
  readonly clock: Clock;
}

/**
 * Fastify plugin: `GET` and `HEAD /store/{key}`, for the links of the directory store, and of a bucket with
 * `IMAGE_LINKS=api`. The link is the permission, so no API key is asked for. One range, `If-None-Match` and `If-Range`
 * are honoured as in RFC 9110.
 *
 * Whatever lies in the store, a browser that opens it runs nothing: the type is not guessed, scripts are not allowed,
 * and the page has an origin of its own.
 */
export function storeObjects(
  app: FastifyInstance,
  { store, signingKey, clock }: StoreObjectsOptions,
  done: () => void,
): void {
  app.route({
    method: ['GET', 'HEAD'],
    url: '/store/*',
    handler: async (request: FastifyRequest<{ Params: { '*': string } }>, reply) => {
      const grant = grantOf(request.params['*'], request.url, signingKey, clock);
      const found = await store.head(grant.key);
      if (found === undefined) throw refusal(404, 'not_found', 'The object that this link leads to has been deleted.');
      if (isKnown(found.etag, request.headers['if-none-match'])) {
        describe(reply, found, grant).removeHeader('content-length');
        return reply.code(304).send();
      }
      if (request.method === 'HEAD') return describe(reply, found, grant).header('content-length', found.bytes).send();
      return sendObject(request, reply, store, found, grant);
    },
  });
  done();
}

/** @throws an error of status 403 unless the link was signed for this key and has not expired. */
function grantOf(key: string, url: string, signingKey: Uint8Array, clock: Clock): LinkGrant {
  const query = new URLSearchParams(url.includes('?') ? url.slice(url.indexOf('?') + 1) : '');
  const verdict = verifyLink(key, query, signingKey, clock.now());
  if (verdict.ok && keyProblem(key) === undefined) return verdict.grant;
  throw !verdict.ok && verdict.reason === 'expired'
    ? refusal(403, 'link_expired', 'This link has expired. Ask for a new one where you got it from.')
    : refusal(403, 'bad_signature', 'This link was not made here, or it was changed. Use it exactly as it was given.');
}

async function sendObject(
  request: FastifyRequest,
  reply: FastifyReply,
  store: Store,
  found: ObjectInfo,
  grant: LinkGrant,
): Promise<FastifyReply> {
  const ifRange = request.headers['if-range'];
  const range = ifRange === undefined || ifRange === found.etag ? parseRange(request.headers.range) : undefined;
  try {
    const object = await store.get(grant.key, range === undefined ? {} : { range });
    if (object === undefined) throw refusal(404, 'not_found', 'The object that this link leads to has been deleted.');
    describe(reply, object.info, grant);
    if (object.range === undefined) return reply.header('content-length', object.info.bytes).send(object.body);
    const { start, end } = object.range;
    return reply
      .code(206)
      .header('content-range', `bytes ${start}-${end}/${object.info.bytes}`)
      .header('content-length', end - start + 1)
      .send(object.body);
  } catch (error) {
    if (!(error instanceof StoreError) || error.kind !== 'range') throw error;
    reply.header('content-range', `bytes */${error.bytes ?? found.bytes}`);
    throw refusal(
      416,
      'range_not_satisfiable',
      `The object has ${found.bytes} bytes; the range must begin within them.`,
    );
  }
}

/** Sets the headers that tell what the object is, and what a browser may do with it. */
function describe(reply: FastifyReply, info: ObjectInfo, grant: LinkGrant): FastifyReply {
  return reply
    .type(grant.contentType ?? info.contentType)
    .header('content-disposition', inlineDisposition(grant.filename))
    .header('etag', info.etag)
    .header('last-modified', info.modifiedAt.toUTCString())
    .header('accept-ranges', 'bytes')
    .header('cache-control', info.cacheControl ?? 'private')
    .header('x-content-type-options', 'nosniff')
    .header('content-security-policy', "sandbox; default-src 'none'");
}

/** Whether If-None-Match names this version; compared weakly, as RFC 9110 (13.1.2) asks. */
function isKnown(etag: string, ifNoneMatch: string | undefined): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.split(',').some((candidate) => ['*', etag].includes(candidate.trim().replace(/^W\//, '')));
}

function refusal(statusCode: number, code: string, detail: string): Error {
  return Object.assign(new Error(detail), { statusCode, code });
}
