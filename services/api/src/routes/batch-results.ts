import { join } from 'node:path';
import type { BatchFiles } from '@renderyard/shared/batch/batch-files';
import type { Clock } from '@renderyard/shared/clock';
import type { Config } from '@renderyard/shared/config';
import type { Store } from '@renderyard/shared/store/store';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { App } from '../app-instance.ts';
import type { BatchFinder } from '../batches/batch-finder.ts';
import { asText } from '../batches/results/as-text.ts';
import { sendDownload } from '../batches/results/download.ts';
import { downloadName } from '../batches/results/download-name.ts';
import { imagesZip } from '../batches/results/images-zip.ts';
import { createPartReader, type ResultStates } from '../batches/results/part-reader.ts';
import { readAhead } from '../batches/results/read-ahead.ts';
import { readRejected, rejectedHeader, rejectedRecords } from '../batches/results/rejected-csv.ts';
import { resultsCsv } from '../batches/results/results-csv.ts';
import { resultLine } from '../batches/results/results-ndjson.ts';
import { JobParams } from './job-params.ts';
import { answers } from './responses.ts';

const CSV = 'text/csv; charset=utf-8; header=present';

const bom = Type.Enum(['true', 'false'], {
  default: 'false',
  description: 'Begins with a mark of byte order, by which Excel knows UTF-8.',
});
const CsvQuery = Type.Object(
  {
    formulas: Type.Enum(['escape', 'keep'], {
      default: 'escape',
      description: "Cells that a spreadsheet would run get a ' in front; `keep` leaves every cell byte for byte.",
    }),
    bom,
  },
  { additionalProperties: false },
);
/** Of a file that is uploaded again, where one `'` is taken off every cell that would be a formula behind it. */
const RejectedQuery = Type.Object({ bom }, { additionalProperties: false });
const NoQuery = Type.Object({}, { additionalProperties: false });

/** A body that is sent as it is made; a connection that is cut tells that it is not whole. */
const streamed = (contentMediaType: string, description: string) =>
  answers({ 200: Type.String({ contentMediaType, description }) });

/**
 * What has become of a batch, as files: `GET /v1/batches/{id}/results.csv`, `results.ndjson`, `rejected.csv` and
 * `images.zip`, streamed, in the order of the rows, also while it runs.
 */
export function batchResultsRoutes(
  app: App,
  {
    finder,
    states,
    files,
    store,
    config,
    clock,
  }: {
    readonly finder: BatchFinder;
    readonly states: ResultStates;
    readonly files: BatchFiles;
    readonly store: Store;
    readonly config: Pick<Config, 'PUBLIC_URL' | 'DATA_DIR'>;
    readonly clock: Clock;
  },
): void {
  const publicUrl = config.PUBLIC_URL;

  /** The batch, what a file of it is called, and its rows as they stand. */
  async function open(request: FastifyRequest<{ Params: { id: string } }>, what: string) {
    const { id } = request.params;
    request.record.batch_id = id.slice(0, 40);
    const { record, state } = await finder.find(id, request.account);
    const { read } = createPartReader({ states, files, record, sameRedis: request.sameRedis });
    return {
      record,
      filename: downloadName(record, state.name, what),
      parts: (signal: AbortSignal) => readAhead(record.parts.length, read, signal),
    };
  }
  // A HEAD would have Fastify make the whole file, to send nothing of it.
  const route = { exposeHeadRoute: false };

  app.get(
    '/batches/:id/results.csv',
    {
      ...route,
      schema: {
        summary: "Download a batch's results as CSV",
        params: JobParams,
        querystring: CsvQuery,
        response: streamed('text/csv', "The upload's columns as they were, then what became of each row."),
      },
    },
    async (request, reply) => {
      const { formulas, bom } = request.query;
      const { record, filename, parts } = await open(request, 'results.csv');
      const csv = resultsCsv(record, { publicUrl, formulas });
      const pieces = (signal: AbortSignal) => asText(withBom(bom, csv.header), rowsOf(parts(signal)), csv.rows);
      return sendDownload(request, reply, { filename, contentType: CSV, pieces });
    },
  );

  app.get(
    '/batches/:id/results.ndjson',
    {
      ...route,
      schema: {
        summary: "Download a batch's results as NDJSON",
        params: JobParams,
        querystring: NoQuery,
        response: streamed('application/x-ndjson', 'One object a row, its values as they were given.'),
      },
    },
    async (request, reply) => {
      const { record, filename, parts } = await open(request, 'results.ndjson');
      const pieces = (signal: AbortSignal) =>
        asText('', rowsOf(parts(signal)), (rows) => rows.map((row) => resultLine(record, row, publicUrl)).join(''));
      return sendDownload(request, reply, { filename, contentType: 'application/x-ndjson', pieces });
    },
  );

  app.get(
    '/batches/:id/rejected.csv',
    {
      ...route,
      schema: {
        summary: "Download a batch's rejected rows as CSV",
        params: JobParams,
        querystring: RejectedQuery,
        response: streamed('text/csv', 'As they were given, with what is wrong; correct it, and upload it as it is.'),
      },
    },
    async (request, reply) => {
      const { record, filename } = await open(request, 'rejected.csv');
      const pieces = (signal: AbortSignal) => {
        const read = (part: number) => readRejected(store, record, part, signal);
        const header = withBom(request.query.bom, rejectedHeader(record));
        const parts = readAhead(record.rejected_parts.length, read, signal);
        return asText(header, parts, (rows) => rejectedRecords(record, rows));
      };
      return sendDownload(request, reply, { filename, contentType: CSV, pieces });
    },
  );

  app.get(
    '/batches/:id/images.zip',
    {
      ...route,
      schema: {
        summary: "Download a batch's images as a zip",
        params: JobParams,
        querystring: NoQuery,
        response: streamed('application/zip', 'Those that are there, in the order of the rows, and results.csv.'),
      },
    },
    async (request, reply) => {
      const { record, filename, parts } = await open(request, 'images.zip');
      const setup = { record, store, publicUrl, folder: join(config.DATA_DIR, 'spool'), now: clock.now() };
      const pieces = (signal: AbortSignal) => imagesZip({ ...setup, parts: parts(signal), signal });
      return sendDownload(request, reply, { filename, contentType: 'application/zip', pieces });
    },
  );
}

function withBom(bom: 'true' | 'false', header: string): string {
  return bom === 'true' ? `\ufeff${header}` : header;
}

async function* rowsOf<T>(parts: AsyncIterable<{ readonly rows: readonly T[] }>): AsyncGenerator<readonly T[]> {
  for await (const { rows } of parts) yield rows;
}
