import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';

/** What a signed link allows: to read one object, for a time, under a type and a name of the signer's choice. */
export interface LinkGrant {
  readonly key: string;
  /** Seconds since 1970, UTC. At this second the link is no longer good. */
  readonly expires: number;
  readonly contentType?: string;
  readonly filename?: string;
}

export type LinkVerdict =
  | { readonly ok: true; readonly grant: LinkGrant }
  | { readonly ok: false; readonly reason: 'signature' | 'expired' };

/** The query of a link: `expires`, `type` and `filename` where given, and the signature over all of them and the key. */
export function signLink(grant: LinkGrant, signingKey: Uint8Array): URLSearchParams {
  const query = new URLSearchParams({ expires: String(grant.expires) });
  if (grant.contentType !== undefined) query.set('type', grant.contentType);
  if (grant.filename !== undefined) query.set('filename', grant.filename.toWellFormed());
  query.set('signature', signature(grant.key, query, signingKey).toString('base64url'));
  return query;
}

/**
 * Says whether the query was signed for this key and is still good. Only a link that was signed is said to have
 * expired. The comparison takes the same time wherever the signatures differ.
 */
export function verifyLink(key: string, query: URLSearchParams, signingKey: Uint8Array, nowMs: number): LinkVerdict {
  const given = Buffer.from(query.get('signature') ?? '', 'base64url');
  const right = signature(key, query, signingKey);
  if (given.length !== right.length || !timingSafeEqual(given, right)) return { ok: false, reason: 'signature' };
  const expires = Number(query.get('expires'));
  if (!(nowMs < expires * 1000)) return { ok: false, reason: 'expired' };
  const contentType = query.get('type');
  const filename = query.get('filename');
  return {
    ok: true,
    grant: {
      key,
      expires,
      ...(contentType === null ? {} : { contentType }),
      ...(filename === null ? {} : { filename }),
    },
  };
}

/** Signs with a key derived for this purpose alone, so that the same secret may serve others. */
function signature(key: string, query: URLSearchParams, signingKey: Uint8Array): Buffer {
  const derived = hkdfSync('sha256', signingKey, new Uint8Array(), 'renderyard store link 1', 32);
  // As JSON no part can be moved into its neighbour, and a part that is missing differs from one that is empty.
  const signed = JSON.stringify([key, query.get('expires'), query.get('type'), query.get('filename')]);
  return createHmac('sha256', new Uint8Array(derived)).update(signed).digest();
}
