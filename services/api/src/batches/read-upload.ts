import type { Readable } from 'node:stream';
import type { OwnWebhookChecks } from '../webhooks/own-webhook.ts';
import { type BatchRequest, readBatchOptions } from './batch-options.ts';
import type { Importer } from './intake/importer.ts';
import type { OptionSource } from './option-reader.ts';
import type { Imported } from './submit-batch.ts';

/** A body as it arrives, and how its headers describe it. */
export interface Upload {
  readonly body: Readable;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  /** What options in the body are: fields of a form, or members of JSON. */
  readonly bodyOptions: 'form' | 'json';
}

/**
 * Has an upload imported, with the options of the query and those that it holds itself.
 * @param how.upload part of the names of its parts; left out, nothing is written.
 * @throws {ProblemError} `invalid_request` and `secret_key_missing` for its options. @throws {UploadError} for the rest of it.
 */
export async function readUpload(
  importer: Importer,
  { body, contentType, contentEncoding, bodyOptions }: Upload,
  how: {
    readonly batch: string;
    readonly upload: string | undefined;
    readonly query: OptionSource;
    readonly webhooks: OwnWebhookChecks;
    readonly signal: AbortSignal;
  },
): Promise<Imported> {
  let request: BatchRequest | undefined;
  const result = await importer.import(
    { body, contentType, contentEncoding },
    {
      batch: how.batch,
      upload: how.upload ?? 'none',
      options: async (values) => {
        request = await readBatchOptions([how.query, { kind: bodyOptions, values }], how.webhooks);
        return { read: request.read, dryRun: request.dryRun || how.upload === undefined };
      },
    },
    { signal: how.signal },
  );
  return { request: request ?? (await readBatchOptions([how.query], how.webhooks)), result };
}
