import { randomBytes, randomInt } from 'node:crypto';
import { uuidv7obj } from 'uuidv7';

/** Prefixes of the ids that users see; each id says what it is. */
export type IdPrefix = 'job' | 'bat' | 'evt' | 'dlv' | 'whk' | 'key' | 'call' | 'req' | 'wrk' | 'api';

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/**
 * A new id: the prefix and a UUIDv7 (RFC 9562) in 26 characters of Crockford's base 32, so ids made later sort later.
 * It holds no `:` and never is all digits, which BullMQ refuses in a job's id.
 */
export function newId<P extends IdPrefix>(prefix: P): `${P}_${string}` {
  return `${prefix}_${encode(BigInt(`0x${uuidv7obj().toHex()}`))}`;
}

/**
 * The id that belongs to a time (milliseconds since 1970) and a hash of at least 10 bytes: always the same, and among
 * ids of {@link newId} where its time puts it.
 */
export function idOf<P extends IdPrefix>(prefix: P, at: number, hash: Uint8Array): `${P}_${string}` {
  const tail = BigInt(`0x${Buffer.from(hash.subarray(0, 10)).toString('hex')}`);
  return `${prefix}_${encode((BigInt(Math.trunc(at)) << 80n) | tail)}`;
}

function encode(bits: bigint): string {
  let encoded = '';
  for (let i = 0, value = bits; i < 26; i++, value >>= 5n) encoded = ALPHABET.charAt(Number(value & 31n)) + encoded;
  return encoded;
}

/** Whether the text has the form of an id with this prefix. */
export function isId(prefix: IdPrefix, text: string): boolean {
  return text.startsWith(`${prefix}_`) && /^[0-9a-hjkmnp-tv-z]{26}$/.test(text.slice(prefix.length + 1));
}

/** Whether the text has the form of an id with any prefix, or of the job of a row, which ends in its number. */
export function looksLikeId(text: string): boolean {
  return /^[a-z]{3,4}_[0-9a-hjkmnp-tv-z]{26}(?:_[1-9]\d{0,9})?$/.test(text);
}

/** A seed for a render, drawn evenly from 0 to 2,147,483,647: the range that every known sampler takes. */
export function drawSeed(): number {
  return randomInt(0, 2 ** 31);
}

/** A secret of `bytes` random bytes, in base64url. */
export function newSecret(bytes = 32): string {
  return randomBytes(bytes).toString('base64url');
}
