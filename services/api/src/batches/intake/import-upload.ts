import { join } from 'node:path';
import { capped, gunzip, isGzip } from './content-decoder.ts';
import { MOST_FORM_OVERHEAD, readForm } from './form-reader.ts';
import { openFormSpool } from './form-spool.ts';
import { type ImportFileDeps, importFile } from './import-file.ts';
import type { ImportJob, ImportResult } from './import-job.ts';
import { fileFormat, parseContentType } from './upload-format.ts';

/** Where files of forms lie while their form is read, below DATA_DIR. */
const SPOOL_FOLDER = ['api', 'uploads'] as const;

/**
 * Imports an upload from its bytes as they came.
 * @throws what `importFile` throws, and {UploadError} for what is wrong with the form or the encoding.
 */
export async function importUpload(
  bytes: AsyncIterable<Buffer>,
  job: ImportJob,
  deps: ImportFileDeps & { readonly dataDir: string },
): Promise<ImportResult> {
  const { contentType, contentEncoding, filename } = job;
  const isCompressed = isGzip(contentEncoding);
  const { mostBytes } = deps.limits;
  const type = parseContentType(contentType);
  if (type.type !== 'multipart/form-data') {
    const format = fileFormat(type, filename);
    const plain = isCompressed ? gunzip(bytes, mostBytes) : bytes;
    return importFile({ bytes: plain, format, filename, fields: {} }, job, deps);
  }
  const most = mostBytes + MOST_FORM_OVERHEAD;
  const plain = isCompressed ? gunzip(bytes, most) : capped(bytes, most);
  await using spool = await openFormSpool(join(deps.dataDir, ...SPOOL_FOLDER));
  const form = await readForm(plain, contentType ?? '', spool);
  return await importFile({ ...form, bytes: spool.read() }, job, deps);
}
