/**
 * Where a batch lies in the store. Objects are created and never replaced, but for the markers, and for the manifest and
 * the checksums of a batch that was opened again.
 */

const number = (value: number, digits: number) => String(value).padStart(digits, '0');

export const batchFolder = (batch: string) => `batches/${batch}/`;
/** Its creation makes the batch. */
export const recordKey = (batch: string) => `batches/${batch}/batch.json`;
export const rowsKey = (batch: string, upload: string, part: number) =>
  `batches/${batch}/rows/${number(part, 6)}-${upload}.ndjson`;
/** Rows that were not accepted, as they were given. */
export const rejectedKey = (batch: string, upload: string, part: number) =>
  `batches/${batch}/rejected/${number(part, 6)}-${upload}.ndjson`;
export const decisionsPrefix = (batch: string) => `batches/${batch}/decisions/`;
export const decisionKey = (batch: string, seq: number) => `${decisionsPrefix(batch)}${number(seq, 6)}.json`;
/** The `seq` that a key of {@link decisionKey} names. */
export function parseDecisionKey(key: string): number | undefined {
  const match = /\/decisions\/(\d{6,15})\.json$/.exec(key);
  return match === null ? undefined : Number(match[1]);
}
export const resultsPrefix = (batch: string) => `batches/${batch}/results/`;
/** Begins the keys of all versions of a part. */
export const resultsPartPrefix = (batch: string, part: number) => `${resultsPrefix(batch)}${number(part, 6)}-`;
/** Of several versions of a part the highest holds. Versions are milliseconds since 1970, by Redis's clock, and grow. */
export const resultsKey = (batch: string, part: number, version: number) =>
  `${resultsPartPrefix(batch, part)}${number(version, 13)}.ndjson`;
/** Less the extension. */
export const rowImageKey = (batch: string, key: string) => `batches/${batch}/images/${key}`;
export const imagesPrefix = (batch: string) => `batches/${batch}/images/`;
/** Written last: the batch has ended, and this is all of it. */
export const manifestKey = (batch: string) => `batches/${batch}/manifest.json`;
/** One line an image, as `sha256sum -c` reads it in the batch's folder. */
export const checksumsKey = (batch: string) => `batches/${batch}/SHA256SUMS.txt`;
/** Stands while the batch has not ended. */
export const openPrefix = 'open/';
export const openKey = (batch: string) => `${openPrefix}${batch}`;
/** Stands while a batch is being uploaded, and is written again every minute as long as somebody does. */
export const uploadsPrefix = 'uploads/';
export const uploadKey = (batch: string) => `${uploadsPrefix}${batch}`;
/** Tells whose a batch is, so that an account's batches are found without reading them all. */
export const accountsPrefix = 'accounts/';
export const accountBatchesPrefix = (account: string) => `${accountsPrefix}${account}/batches/`;
export const accountBatchKey = (account: string, batch: string) => `${accountBatchesPrefix(account)}${batch}`;

/** Whose batch a key of {@link accountBatchKey} names. */
export function parseAccountBatchKey(key: string): { readonly account: string; readonly batch: string } | undefined {
  const match = /^accounts\/([^/]+)\/batches\/([^/]+)$/.exec(key);
  return match?.[1] === undefined || match[2] === undefined ? undefined : { account: match[1], batch: match[2] };
}

/** The part and version that a results key names. */
export function parseResultsKey(key: string): { readonly part: number; readonly version: number } | undefined {
  const match = /\/results\/(\d{6,})-(\d{13,})\.ndjson$/.exec(key);
  return match === null ? undefined : { part: Number(match[1]), version: Number(match[2]) };
}
