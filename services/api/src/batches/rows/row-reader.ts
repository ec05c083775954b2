import type { RowReader, RowReaderSetup } from './read.ts';

/**
 * A reader for one upload.
 *
 * @throws {UploadError} for what is wrong with the upload as a whole: its header, or its options
 */
export function createRowReader(_setup: RowReaderSetup): RowReader {
  throw new Error('Not written yet.');
}
