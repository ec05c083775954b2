import type { PutOptions } from './store.ts';
import { StoreError } from './store-error.ts';

/** S3's limit for user metadata is 2,048 bytes, names and values together; the rest is for what the store adds. */
export const MAX_METADATA_BYTES = 1984;

/**
 * Percent-encodes the values, so that any text survives: HTTP headers carry ASCII, and S3 servers differ in what they
 * do with the rest. Nothing is left that a header would trim or fold.
 * @throws {StoreError} `invalid` for a name that is not `a-z 0-9 -`, a lone surrogate, or too much of it.
 */
export function encodeMetadata(metadata: Readonly<Record<string, string>>): Record<string, string> {
  const encoded: Record<string, string> = {};
  let bytes = 0;
  for (const [name, value] of Object.entries(metadata)) {
    if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(name))
      throw invalid(`the metadata name ${JSON.stringify(name.slice(0, 80))} must be 1 to 64 of a-z, 0-9 and "-"`);
    if (!value.isWellFormed()) throw invalid(`the metadata ${name} has half of a surrogate pair`);
    encoded[name] = encodeURIComponent(value);
    bytes += name.length + encoded[name].length;
  }
  if (bytes > MAX_METADATA_BYTES)
    throw invalid(`its metadata takes ${bytes} bytes once percent-encoded; at most ${MAX_METADATA_BYTES} are possible`);
  return encoded;
}

/** The inverse of `encodeMetadata`. A value that was not percent-encoded, written by others, is given as it stands. */
export function decodeMetadata(encoded: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(encoded).map(([name, value]) => [name.toLowerCase(), decode(value)]));
}

/** @throws {StoreError} `invalid` unless the content type and the cache control can be sent as headers. */
export function assertHeaders(options: Pick<PutOptions, 'contentType' | 'cacheControl'>): void {
  if (!/^[\w.+-]+\/[\w.+-]+( *;[ -~]*)?$/.test(options.contentType))
    throw invalid(`the content type ${JSON.stringify(options.contentType.slice(0, 80))} must be like "image/png"`);
  if (options.cacheControl !== undefined && !/^[!-~][ -~]*$/.test(options.cacheControl))
    throw invalid('the cache control must be printable ASCII');
}

/** A Content-Disposition that shows the file, and names it. */
export function inlineDisposition(filename: string | undefined): string {
  return filename === undefined ? 'inline' : named('inline', filename);
}

/** A Content-Disposition that has the file saved under a name. */
export function attachmentDisposition(filename: string): string {
  return named('attachment', filename);
}

/** Names a file in the two forms of RFC 6266: plain ASCII for old clients, and RFC 8187 for all others. */
function named(disposition: 'inline' | 'attachment', filename: string): string {
  const plain = filename.toWellFormed().replaceAll(/[^ -~]|["\\%]/g, '_');
  const extended = encodeURIComponent(filename.toWellFormed()).replaceAll(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `${disposition}; filename="${plain}"; filename*=UTF-8''${extended}`;
}

/** @throws {StoreError} `invalid` unless a link may live that long and say that type. */
export function assertLink(options: { readonly expiresInSeconds: number; readonly contentType?: string }): void {
  const { expiresInSeconds, contentType } = options;
  if (!Number.isInteger(expiresInSeconds) || expiresInSeconds < 1 || expiresInSeconds > 604_800)
    throw new StoreError(
      'invalid',
      `A link cannot be made: it must expire in 1 to 604800 seconds, not ${expiresInSeconds}.`,
    );
  if (contentType !== undefined) assertHeaders({ contentType });
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

function invalid(problem: string): StoreError {
  return new StoreError('invalid', `An object cannot be stored: ${problem}.`);
}
