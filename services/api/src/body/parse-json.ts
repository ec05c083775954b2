import { isUtf8 } from 'node:buffer';
import { invalidRequest, ProblemError } from '../errors/problem-error.ts';
import { duplicateNames } from './duplicate-names.ts';

/**
 * Reads a JSON body from its bytes. Nothing is replaced or dropped silently: bytes that are not UTF-8 are refused, and
 * so are names that an object has twice.
 * @throws {ProblemError} `invalid_encoding`, `invalid_json` or `invalid_request`, with the place where it is known.
 */
export function parseJson(bytes: Buffer): unknown {
  if (!isUtf8(bytes))
    throw new ProblemError(
      'invalid_encoding',
      `The body is not valid UTF-8: byte ${firstInvalidByte(bytes)} (counted from 0) is wrong.`,
    );
  const text = bytes.toString('utf8').replace(/^\ufeff/, '');
  const value = parse(text);
  // Alone: what else is wrong depends on which of the two counts.
  const duplicates = duplicateNames(text);
  if (duplicates.length > 0) throw invalidRequest(duplicates);
  return value;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw invalidJson(text, error instanceof Error ? error.message : '');
  }
}

/** Decoding replaces what is wrong, so the first byte that differs when encoded again is the one. */
function firstInvalidByte(bytes: Buffer): number {
  const again = Buffer.from(bytes.toString('utf8'));
  let at = 0;
  while (at < bytes.length && bytes[at] === again[at]) at++;
  return at;
}

/** The engine says where, in most cases; what it quotes from the body is left out. */
function invalidJson(text: string, message: string): ProblemError {
  const given = /at position (\d+)/.exec(message)?.[1];
  const position = given === undefined ? findByToken(text, message) : Number(given);
  if (position === undefined) return new ProblemError('invalid_json', `The body is not valid JSON.`);
  const before = text.slice(0, position).split('\n');
  const line = before.length;
  const column = (before.at(-1)?.length ?? 0) + 1;
  const found =
    position >= text.length ? 'it ends too early' : `${JSON.stringify(text.charAt(position))} is unexpected`;
  const detail = `The body is not valid JSON: ${found} at line ${line}, column ${column}.`;
  return new ProblemError('invalid_json', detail, { errors: [{ line, column, code: 'syntax', detail }] });
}

/** Where the engine names no position: the end of the text, or a token that occurs only once. */
function findByToken(text: string, message: string): number | undefined {
  if (message.startsWith('Unexpected end')) return text.length;
  const token = /^Unexpected token '(.+?)',/su.exec(message)?.[1];
  if (token === undefined) return undefined;
  const at = text.indexOf(token);
  return at !== -1 && text.indexOf(token, at + 1) === -1 ? at : undefined;
}
