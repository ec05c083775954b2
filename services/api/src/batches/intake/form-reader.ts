import { once } from 'node:events';
import { Busboy, type BusboyFileStream } from '@fastify/busboy';
import { UploadError } from '../upload-error.ts';
import type { FormSpool } from './form-spool.ts';
import { type FileFormat, fileFormat, parseContentType } from './upload-format.ts';

/** More than there are options. */
const MOST_FIELDS = 64;
const MOST_NAME_BYTES = 128;
/** Defaults and metadata are JSON. */
const MOST_VALUE_BYTES = 64 * 1024;
/** Of the headers of one part: a name, a filename, a type. */
const MOST_HEADER_BYTES = 8 * 1024;
/** What a form may be larger than its file may be. */
export const MOST_FORM_OVERHEAD = 1024 * 1024;
const FILE_FIELD = 'file';

/** A form that was read; its file lies in the spool. */
export interface Form {
  readonly fields: Readonly<Record<string, string>>;
  readonly filename: string | undefined;
  readonly format: FileFormat;
}

/**
 * Reads multipart/form-data: fields, and one file in the field `file`, in any order.
 * @throws {UploadError} `invalid_multipart`, `invalid_field`, `file_missing`, `several_files`, `unsupported_format`
 */
export async function readForm(bytes: AsyncIterable<Buffer>, contentType: string, spool: FormSpool): Promise<Form> {
  const fields = new Map<string, string>();
  let file: Pick<Form, 'filename' | 'format'> | undefined;
  let stream: BusboyFileStream | undefined;
  let spooled = Promise.resolve();
  const parser = createParser(contentType);
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => {});
  /** What a listener throws is to end the reading, not the process. */
  const guarded = (step: () => void) => {
    try {
      step();
    } catch (error) {
      failure.reject(error);
    }
  };

  parser
    .on('file', (name, opened, filename, transferEncoding, type) =>
      guarded(() => {
        // Told by the parser too.
        opened.on('error', () => {});
        stream = opened;
        assertFile(name, transferEncoding);
        file = { filename, format: fileFormat(parseContentType(type), filename) };
        spooled = spoolFile(opened, spool);
        spooled.catch(failure.reject);
      }),
    )
    .on('field', (name, value, _isNameCut, isCut) =>
      guarded(() => fields.set(name, checkedValue(fields, name, value, isCut))),
    )
    .on('filesLimit', () => failure.reject(new UploadError('several_files')))
    .on('fieldsLimit', () =>
      failure.reject(
        new UploadError('invalid_field', `The form has more than ${MOST_FIELDS} fields. Send the options only.`),
      ),
    )
    .on('error', (error: Error) => failure.reject(malformed(error)));

  const unlessFailed = <T>(step: Promise<T>) => Promise.race([step, failure.promise]);
  try {
    for await (const piece of bytes) await unlessFailed(new Promise<unknown>((done) => parser.write(piece, done)));
    const finished = once(parser, 'finish');
    // Its failure is the parser's, which is waited for.
    finished.catch(() => {});
    parser.end();
    await unlessFailed(finished);
    await unlessFailed(spooled);
  } catch (error) {
    stream?.destroy();
    await spooled.catch(() => {});
    throw error;
  }
  if (file === undefined)
    throw new UploadError('file_missing', `The form has no file. Send it in the field \`${FILE_FIELD}\`.`);
  return { fields: Object.fromEntries(fields), ...file };
}

function malformed(error: Error): UploadError {
  return new UploadError('invalid_multipart', `The form is not well-formed: ${error.message}.`, { cause: error });
}

function createParser(contentType: string) {
  try {
    return new Busboy({
      headers: { 'content-type': contentType },
      // A part of this name is the file, also where it has no file name.
      isPartAFile: (name, _type, filename) => filename !== undefined || name === FILE_FIELD,
      limits: {
        fieldSize: MOST_VALUE_BYTES,
        fields: MOST_FIELDS,
        files: 1,
        headerPairs: 16,
        headerSize: MOST_HEADER_BYTES,
      },
    });
  } catch (error) {
    throw new UploadError(
      'invalid_multipart',
      'The content type multipart/form-data names no boundary. Let the HTTP client set it, together with the body.',
      { cause: error },
    );
  }
}

async function spoolFile(stream: BusboyFileStream, spool: FormSpool): Promise<void> {
  for await (const piece of stream) await spool.write(piece as Buffer);
}

/** @throws {UploadError} */
function assertFile(name: string | undefined, transferEncoding: string): void {
  if (name !== FILE_FIELD)
    throw new UploadError(
      'invalid_multipart',
      `The form has its file in the field ${JSON.stringify((name ?? '').slice(0, 80))}. Send it in the field \`${FILE_FIELD}\`.`,
    );
  if (!['7bit', '8bit', 'binary'].includes(transferEncoding))
    throw new UploadError(
      'invalid_multipart',
      `The file is sent with Content-Transfer-Encoding ${JSON.stringify(transferEncoding.slice(0, 40))}. Send its bytes as they are.`,
    );
}

/** @throws {UploadError} `invalid_field` or `invalid_multipart` */
function checkedValue(fields: ReadonlyMap<string, string>, name: string, value: string, isCut: boolean): string {
  if (name === undefined || name === '')
    throw new UploadError('invalid_multipart', 'A part of the form has no name. Name it as the option that it is.');
  const shown = JSON.stringify(name.slice(0, 80));
  if (Buffer.byteLength(name) > MOST_NAME_BYTES)
    throw new UploadError('invalid_field', `The name of the field ${shown}… is longer than ${MOST_NAME_BYTES} bytes.`);
  if (isCut)
    throw new UploadError('invalid_field', `The field ${shown} is larger than ${MOST_VALUE_BYTES} bytes. Shorten it.`, {
      column: name,
    });
  if (fields.has(name))
    throw new UploadError('invalid_field', `The field ${shown} comes twice. Give it once.`, { column: name });
  return value;
}
