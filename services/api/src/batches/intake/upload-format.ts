import { UploadError } from '../upload-error.ts';

/** How the bytes of a file are to be read, as far as its content type and its name tell. */
export interface FileFormat {
  readonly format: 'csv' | 'ndjson' | 'json';
  /** Of CSV, where it is known. */
  readonly delimiter?: string;
  readonly charset?: string;
}

type Kind = Omit<FileFormat, 'charset'>;

const CSV: Kind = { format: 'csv' };
const TSV: Kind = { format: 'csv', delimiter: '\t' };
const NDJSON: Kind = { format: 'ndjson' };
const JSON_DOCUMENT: Kind = { format: 'json' };

const BY_TYPE = new Map<string, Kind>([
  ['text/csv', CSV],
  ['application/csv', CSV],
  ['text/tab-separated-values', TSV],
  ['application/x-ndjson', NDJSON],
  ['application/ndjson', NDJSON],
  ['application/jsonl', NDJSON],
  ['application/x-jsonlines', NDJSON],
  ['application/json', JSON_DOCUMENT],
]);
const BY_EXTENSION = new Map<string, Kind>([
  ['csv', CSV],
  ['txt', CSV],
  ['tsv', TSV],
  ['tab', TSV],
  ['ndjson', NDJSON],
  ['jsonl', NDJSON],
  ['json', JSON_DOCUMENT],
]);
/** Types that say nothing about the format: the name of the file decides. Browsers on Windows call CSV Excel's. */
const VAGUE = new Set([
  '',
  'text/plain',
  'application/octet-stream',
  'application/gzip',
  'application/x-gzip',
  'application/vnd.ms-excel',
]);

/** What an upload may be, for people. */
export const UPLOAD_TYPES =
  'text/csv, text/tab-separated-values, application/x-ndjson, application/json, or multipart/form-data with a file that ends in .csv, .tsv, .txt, .ndjson, .jsonl or .json';

/** A content type in lower case, without its parameters, and its parameters. */
export interface ContentType {
  readonly type: string;
  readonly charset?: string;
  readonly boundary?: string;
}

export function parseContentType(header: string | undefined): ContentType {
  const [type = '', ...parameters] = (header ?? '').split(';');
  const value = (name: string) => {
    const found = parameters.find((parameter) => parameter.trim().toLowerCase().startsWith(`${name}=`));
    return found
      ?.slice(found.indexOf('=') + 1)
      .trim()
      .replace(/^"(.*)"$/, '$1');
  };
  const [charset, boundary] = [value('charset'), value('boundary')];
  return {
    type: type.trim().toLowerCase(),
    ...(charset === undefined ? {} : { charset }),
    ...(boundary === undefined ? {} : { boundary }),
  };
}

/**
 * @param filename of the upload, if it has one; `.gz` at its end is left out of account.
 * @throws {UploadError} `unsupported_format`
 */
export function fileFormat({ type, charset }: ContentType, filename: string | undefined): FileFormat {
  const extension = /\.([^.]+?)(?:\.gz)?$/i.exec(filename ?? '')?.[1]?.toLowerCase() ?? '';
  const found = BY_TYPE.get(type) ?? (VAGUE.has(type) ? BY_EXTENSION.get(extension) : undefined);
  if (found === undefined)
    throw new UploadError(
      'unsupported_format',
      `The format of the upload is not known: its content type is ${JSON.stringify(type.slice(0, 80))}${filename === undefined ? '' : `, its name ends in ${JSON.stringify(`.${extension.slice(0, 20)}`)}`}. Send ${UPLOAD_TYPES}.`,
      { value: type },
    );
  return charset === undefined ? found : { ...found, charset };
}
