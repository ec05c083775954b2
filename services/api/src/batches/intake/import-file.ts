import { createHash } from 'node:crypto';
import { findModel } from '@renderyard/shared/model/model';
import type { Store } from '@renderyard/shared/store/store';
import type { RowReader } from '../rows/read.ts';
import { createRowReader } from '../rows/row-reader.ts';
import { UploadError } from '../upload-error.ts';
import { gunzipIfMagic, hashed } from './content-decoder.ts';
import { createCsvSource } from './csv-source.ts';
import type { ImportJob, ImportLimits, ImportOptions, ImportResult } from './import-job.ts';
import { createJsonSource } from './json-source.ts';
import { MOST_COLUMNS } from './limits.ts';
import { createNdjsonSource } from './ndjson-source.ts';
import { createPutQueue, type PutQueue } from './put-queue.ts';
import { type BegunParts, createRowSink } from './row-sink.ts';
import { createTextDecoder } from './text-decoder.ts';
import type { TextSource } from './text-source.ts';
import type { FileFormat } from './upload-format.ts';

/** One file of rows, whichever way it came. */
export interface RowsFile {
  readonly bytes: AsyncIterable<Buffer>;
  readonly format: FileFormat;
  readonly filename: string | undefined;
  /** The options that came beside it. */
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface ImportFileDeps {
  readonly store: Store;
  readonly limits: ImportLimits;
  /** Credits for an image, until learned. */
  readonly creditEstimate: number;
  /** How to read the rows, given all options that the body held. It may throw. */
  readonly options: (fields: Readonly<Record<string, unknown>>) => Promise<ImportOptions>;
  readonly begun: BegunParts;
  readonly signal: AbortSignal;
}

/**
 * Turns a file into parts in the store. When it resolves or throws, nothing is on its way to the store any more; what
 * was written is not deleted here.
 * @throws {UploadError} for what is wrong with the file.
 * @throws {StoreError} when the store fails; the signal's reason when it aborts; what `options` throws.
 */
export async function importFile(
  { bytes, format: fileFormat, filename, fields: given }: RowsFile,
  { batch, upload }: Pick<ImportJob, 'batch' | 'upload'>,
  { store, limits, creditEstimate, options, begun, signal }: ImportFileDeps,
): Promise<ImportResult> {
  const { format, charset } = fileFormat;
  const { mostBytes, mostRows, mostRowBytes } = limits;
  const queue = createPutQueue({ store, signal });
  const sink = createRowSink({ batch, upload, mostRows, queue, begun });
  let { delimiter } = fileFormat;
  let fields = given;
  let reader: RowReader | undefined;

  const open = ({ read, dryRun }: ImportOptions, columns?: readonly string[]): RowReader => {
    sink.setDry(dryRun);
    const model = findModel(read.model);
    if (model === undefined) throw new Error(`The model ${read.model} is not known, and was to be looked up before.`);
    const header = columns === undefined ? {} : { columns };
    reader = createRowReader({ model, format, options: read, ...header, mostColumns: MOST_COLUMNS, creditEstimate });
    return reader;
  };

  const createSource = async (): Promise<TextSource> => {
    const { take } = sink;
    if (format === 'json')
      return createJsonSource({
        mostRowBytes,
        open: async (members) => {
          fields = merge(given, members);
          return open(await options(fields));
        },
        take,
        breathe: queue.room,
      });
    const read = await options(fields);
    if (format === 'ndjson') return createNdjsonSource({ reader: open(read), mostRowBytes, take });
    return createCsvSource({
      delimiter,
      mostRowBytes,
      open: (columns, found) => {
        delimiter = found;
        return open(read, columns);
      },
      take,
    });
  };

  try {
    const source = await createSource();
    const hash = createHash('sha256');
    const length = await feed(source, hashed(gunzipIfMagic(bytes, mostBytes), hash), { charset, queue, signal });
    if (reader === undefined || sink.count() === 0) throw new UploadError('empty_upload');
    sink.flush();
    const read = (reader as RowReader).finish();
    await queue.drained();
    return {
      ...read,
      source: {
        format,
        ...(delimiter === undefined ? {} : { delimiter }),
        ...(filename === undefined ? {} : { filename }),
        bytes: length,
        sha256: hash.digest('hex'),
      },
      parts: sink.parts,
      rejected_parts: sink.rejectedParts,
      fields,
    };
  } catch (error) {
    await queue.abandon();
    throw error;
  }
}

/** Feeds a source with the text of the bytes. @returns how many bytes there were. */
async function feed(
  source: TextSource,
  bytes: AsyncIterable<Buffer>,
  {
    charset,
    queue,
    signal,
  }: {
    readonly charset: string | undefined;
    readonly queue: PutQueue;
    readonly signal: AbortSignal;
  },
): Promise<number> {
  const decoder = createTextDecoder(charset);
  const push = async ({ text, problem }: ReturnType<typeof decoder.end>) => {
    if (text.length > 0) await source.push(text);
    if (problem !== undefined) throw problem(source.line());
  };
  let length = 0;
  for await (const slice of bytes) {
    signal.throwIfAborted();
    length += slice.length;
    await push(decoder.push(slice));
    await queue.room();
  }
  await push(decoder.end());
  await source.end();
  return length;
}

/** @throws {UploadError} `invalid_field` for an option that is given in the form and in the file. */
function merge(
  form: Readonly<Record<string, unknown>>,
  members: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const twice = Object.keys(members).find((name) => Object.hasOwn(form, name));
  if (twice !== undefined)
    throw new UploadError(
      'invalid_field',
      `The option ${JSON.stringify(twice.slice(0, 80))} is given in the form and in the file. Give it once.`,
      { column: twice },
    );
  return { ...form, ...members };
}
