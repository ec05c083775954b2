import { createCsvReader } from './csv-reader.ts';
import { createJsonReader } from './json-reader.ts';
import type { RowReader, RowReaderSetup } from './read.ts';
import { prepareReading } from './reading.ts';

/**
 * A reader for one upload.
 *
 * @throws {UploadError} for what is wrong with the upload as a whole, its header or its options: `no_prompt`,
 * `duplicate_column`, `unknown_column`, `invalid_columns`, `invalid_defaults`, `invalid_template`
 */
export function createRowReader(setup: RowReaderSetup): RowReader {
  const reading = prepareReading(setup);
  return setup.format === 'csv' ? createCsvReader(reading, setup.columns ?? []) : createJsonReader(reading);
}
