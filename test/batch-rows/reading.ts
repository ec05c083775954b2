import type { Read, RowReader, RowReaderSetup, RowsRead } from '@renderyard/api/batches/rows/read';
import { createRowReader } from '@renderyard/api/batches/rows/row-reader';
import { UploadError } from '@renderyard/api/batches/upload-error';
import type { RowProblem } from '@renderyard/shared/batch/batch';
import { type RowRecord, rowInput } from '@renderyard/shared/batch/row';
import { DEFAULT_MODEL, findModel } from '@renderyard/shared/model/model';

const found = findModel(DEFAULT_MODEL);
if (found === undefined) throw new Error('the default model is not described');
export const model = found;

/** As Segmind's model page gives them. */
export const MODEL_DEFAULTS = {
  negative_prompt: 'low quality, blurry',
  steps: 30,
  guidance_scale: 5.5,
  sampler: 'euler',
  scheduler: 'sgm_uniform',
  width: 1024,
  height: 1024,
  aspect_ratio: 'custom',
  batch_size: 1,
  image_format: 'jpeg',
  image_quality: 95,
  base64: false,
};

type Options = Partial<Omit<RowReaderSetup['options'], 'model'>>;
type More = Partial<Pick<RowReaderSetup, 'seed' | 'mostColumns' | 'creditEstimate'>>;

export const csvReader = (columns: readonly string[], options: Options = {}, more: More = {}): RowReader =>
  createRowReader({
    model,
    format: 'csv',
    columns,
    creditEstimate: 0.02,
    options: { on_invalid: 'skip', model: model.slug, ...options },
    ...more,
  });

export const jsonReader = (options: Options = {}, more: More = {}): RowReader =>
  createRowReader({
    model,
    format: 'json',
    creditEstimate: 0.02,
    options: { on_invalid: 'skip', model: model.slug, ...options },
    ...more,
  });

/** What came of an upload, all of it. */
export interface Upload extends RowsRead {
  readonly reads: readonly Read[];
  readonly accepted: readonly RowRecord[];
  readonly problems: readonly RowProblem[];
  /** The bodies of the calls. */
  readonly inputs: readonly Readonly<Record<string, unknown>>[];
  readonly keys: readonly string[];
}

const whole = (reader: RowReader, reads: readonly Read[]): Upload => {
  const read = reader.finish();
  const accepted = reads.flatMap((one) => (one.kind === 'row' ? [one.row] : []));
  return {
    ...read,
    reads,
    accepted,
    problems: reads.flatMap((one) => (one.kind === 'rejected' ? one.problems : [])),
    inputs: accepted.map((row) => rowInput(read, row)),
    keys: accepted.map(({ key }) => key),
  };
};

/** Reads CSV that was parsed: the first record is the header, in line 1. */
export function readCsv(
  [header, ...records]: readonly (readonly string[])[],
  options: Options = {},
  more: More = {},
): Upload {
  const reader = csvReader(header ?? [], options, more);
  return whole(
    reader,
    records.map((values, i) => reader.read(i + 2, values)),
  );
}

export function readJson(items: readonly unknown[], options: Options = {}, more: More = {}): Upload {
  const reader = jsonReader(options, more);
  return whole(
    reader,
    items.map((item, i) => reader.readItem(i + 1, item)),
  );
}

/** The error that a whole upload is refused with. */
export function refusal(read: () => unknown): UploadError {
  try {
    read();
  } catch (error) {
    if (error instanceof UploadError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}
