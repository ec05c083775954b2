import { createHash, randomInt } from 'node:crypto';
import { newSecret } from '../ids.ts';

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
/** 50 bits: to be told from other keys by, not to be kept secret. */
const NAME_LENGTH = 10;
const FORM = /^ry_([0-9a-hjkmnp-tv-z]{10})_[A-Za-z0-9_-]{43}$/;

/** What a caller sends: `ry_<name>_<secret>`. It is shown once, and its hash is kept. */
export interface KeyToken {
  readonly token: string;
  /** The part between the underscores, by which its key is found. */
  readonly name: string;
}

/** A new token, with a secret of 32 random bytes. */
export function newKeyToken(): KeyToken {
  const name = Array.from({ length: NAME_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
  return { name, token: `ry_${name}_${newSecret()}` };
}

/** The name in a token; undefined where it has not the form of one. */
export const nameOfToken = (token: string): string | undefined => FORM.exec(token)?.[1];

/**
 * The SHA-256 of a token, in hex. A plain hash is enough: nobody guesses 256 random bits, as they might a password.
 * @param token as Node gives a header's value, each byte one character.
 */
export const hashToken = (token: string): string => createHash('sha256').update(token, 'latin1').digest('hex');
