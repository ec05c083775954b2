/**
 * Everything that can be wrong with an upload as a whole, with the public text for where nothing more exact is known:
 * a closed list. What is wrong with one row alone rejects that row, and is told in the report.
 */
export const UPLOAD_ERRORS = {
  // How the bytes arrive.
  unsupported_format: 'The upload must be CSV, TSV, NDJSON or JSON, or a form with one such file.',
  unsupported_encoding: 'The upload must be sent as it is, or with `Content-Encoding: gzip`.',
  broken_gzip: 'The gzip stream is damaged or cut short. Compress the file again.',
  upload_too_large: 'The upload is larger than MAX_UPLOAD_BYTES, counted uncompressed. Split it into several batches.',
  upload_incomplete: 'The upload broke off before its end. Nothing was made; send it again.',
  imports_busy: 'As many uploads are being read as this server reads at a time. Send it again in a little while.',
  import_failed: 'The import failed by a fault of the server. Nothing was made.',

  // Its letters.
  unsupported_charset: 'The text must be UTF-8, or UTF-16 with a byte order mark. Save the file as UTF-8.',
  invalid_encoding: 'The text is not valid UTF-8. Save the file as UTF-8 and send it again.',

  // Its form.
  invalid_multipart: 'The form is not well-formed multipart/form-data with the file in the field `file`.',
  file_missing: 'The form has no file. Send it in the field `file`.',
  several_files: 'The form has more than one file. Send one file for each batch.',
  invalid_field: 'A field of the form is too large, comes twice, or there are too many of them.',
  empty_upload: 'The upload holds no rows.',
  unclosed_quote: 'A quoted field is never closed. Close it, or double the quotes that are part of the text.',
  row_too_long: 'A row is far longer than MAX_ROW_BYTES. Shorten it, or check where its line ends.',
  too_many_rows: 'The upload has more rows than MAX_ROWS. Split it into several batches.',
  too_many_columns: 'The upload has more than 256 columns. Remove those that are not needed.',
  invalid_json: 'The upload is not valid JSON.',
  json_too_large: 'JSON is read up to 32 MiB. Send NDJSON or CSV, which have no such limit.',
  no_items: 'The JSON must be an array of items, or an object with the array `items` and options beside it.',

  // Its header and the options that it is read with.
  no_prompt: 'There is no column `prompt`. Add one, or give a `prompt_template`.',
  duplicate_column: 'Two columns of the header mean the same. Rename or remove one.',
  unknown_column: 'An option names a column that the upload does not have.',
  invalid_defaults: 'The option `defaults` has values that the model does not take.',
  invalid_template: 'A template cannot be read. Write names of columns as `{{name}}`.',
  invalid_columns: 'The option `columns` cannot be read. Write it as `prompt:text,style:look`.',
} as const;

export type UploadErrorCode = keyof typeof UPLOAD_ERRORS;

/** Where in the upload the error lies, as far as is known. */
export interface UploadErrorPlace {
  /** From 1; of a JSON array the number of the item. */
  readonly line?: number | undefined;
  /** Name of the column. */
  readonly column?: string | undefined;
  /** What stands there. At most 200 characters of it are kept. */
  readonly value?: string | undefined;
  /** All that is wrong, where several things are. */
  readonly problems?:
    | readonly { readonly column: string | null; readonly code: string; readonly detail: string }[]
    | undefined;
  readonly cause?: unknown;
}

/**
 * Thrown when an upload cannot become a batch. The message is public: it says what is wrong, where, and what would be
 * right. It is not thrown when the store fails (`StoreError`) or the caller's signal aborts (its reason).
 */
export class UploadError extends Error {
  override readonly name = 'UploadError';
  readonly code: UploadErrorCode;
  readonly line: number | undefined;
  readonly column: string | undefined;
  readonly value: string | undefined;
  readonly problems: UploadErrorPlace['problems'];

  constructor(code: UploadErrorCode, message: string = UPLOAD_ERRORS[code], place: UploadErrorPlace = {}) {
    super(message, place.cause === undefined ? undefined : { cause: place.cause });
    this.code = code;
    this.line = place.line;
    this.column = place.column;
    this.value = place.value?.slice(0, 200).toWellFormed();
    this.problems = place.problems;
  }
}
