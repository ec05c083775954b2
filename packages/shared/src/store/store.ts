import type { Readable } from 'node:stream';

/** What is known of an object without reading it. */
export interface ObjectSummary {
  readonly key: string;
  /** The length of the whole object, also where only a range was read. */
  readonly bytes: number;
  /** Changes with every write; quoted as in HTTP (`"…"`). Equal etags mean the same version, in one store. */
  readonly etag: string;
  /** To the second at least. */
  readonly modifiedAt: Date;
}

export interface ObjectInfo extends ObjectSummary {
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly cacheControl?: string;
}

/** Bytes in memory, or a file. A file is opened anew for each attempt, and must stay as it is until `put` ends. */
export type ObjectBody = Uint8Array | { readonly path: string; readonly bytes: number };

export interface PutOptions {
  readonly contentType: string;
  /** Names of `a-z 0-9 -`, values of any Unicode text; 1,984 bytes in all once percent-encoded (S3's limit, nearly). */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly cacheControl?: string;
  /** Creates the object only where there is none. Of several at once, in any process, one gets `stored`. */
  readonly ifAbsent?: boolean;
  readonly signal?: AbortSignal;
}

/** Bytes `start` to `end`, both included, or the last `suffix` bytes. An `end` past the object is cut to its length. */
export type ByteRange = { readonly start: number; readonly end?: number } | { readonly suffix: number };

export interface ListOptions {
  readonly after?: string;
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

export interface StoredObject {
  readonly info: ObjectInfo;
  /** The bytes that `body` will give, both ends included; undefined when the whole object was asked for. */
  readonly range?: { readonly start: number; readonly end: number };
  /** Must be read to the end or destroyed, or it keeps a connection or a file open. */
  readonly body: Readable;
}

/**
 * The object store: the user's bucket, or a folder. Keys follow object-key.ts. Every method throws `StoreError`, or
 * the reason of the caller's signal when that aborts.
 */
export interface Store {
  readonly kind: 's3' | 'directory';

  /**
   * Writes one object, atomically: a reader sees the old object, the new one or none, never a part. When it resolves
   * the object is durable. Tries up to 3 times where the store is unavailable; more is the caller's to decide.
   * @returns `exists`, with nothing written, only with `ifAbsent`. An object that an earlier attempt of the same call
   * had created, and whose answer was lost, counts as `stored`.
   */
  put(key: string, body: ObjectBody, options: PutOptions): Promise<'stored' | 'exists'>;

  /** @returns undefined where there is no such object. @throws {StoreError} `range` for a range outside of it. */
  get(
    key: string,
    options?: { readonly range?: ByteRange; readonly signal?: AbortSignal },
  ): Promise<StoredObject | undefined>;

  /** @returns undefined where there is no such object. */
  head(key: string, options?: { readonly signal?: AbortSignal }): Promise<ObjectInfo | undefined>;

  /**
   * The objects whose key begins with `prefix` (any text that a key can begin with, not only a folder; '' is all), in
   * the byte order of their keys, only those that sort after `after`, at most `limit` of them. Pages are read as the
   * caller goes on; objects written or deleted meanwhile may or may not be seen. To go through many, stay in one
   * listing: each new one with `after` makes the directory store read the folder again.
   */
  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectSummary>;

  /** Deletes any number of objects; those that are missing count as deleted. Not atomic: some may be gone if it throws. */
  delete(keys: readonly string[], options?: { readonly signal?: AbortSignal }): Promise<void>;

  /**
   * A URL that anyone can GET until it expires, 1 to 604,800 seconds from now (S3 signs for at most seven days). The
   * object need not exist. `contentType` and `filename` are what the answer will say; the file is shown, not saved. Where
   * S3's credentials are temporary, as a role's are, the link ends with them.
   */
  link(
    key: string,
    options: { readonly expiresInSeconds: number; readonly contentType?: string; readonly filename?: string },
  ): Promise<string>;

  /**
   * Resolves if the store can be written and read now: one small write and one read. The first call also makes sure
   * of what is needed but cannot be seen in use: that conditional creation is honoured.
   */
  check(signal?: AbortSignal): Promise<void>;

  /** Lets connections go. Calls after it, or still running, may fail. */
  close(): Promise<void>;
}
