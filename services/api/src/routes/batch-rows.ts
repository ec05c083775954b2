import type { BatchFiles } from '@renderyard/shared/batch/batch-files';
import { rowJobId } from '@renderyard/shared/batch/row';
import { rowJob } from '@renderyard/shared/batch/row-job';
import { ROW_STATUSES } from '@renderyard/shared/batch/row-status';
import { isFinal } from '@renderyard/shared/job/job';
import type { JobStore } from '@renderyard/shared/job/job-store';
import { JobSchema } from '@renderyard/shared/job/job-view';
import { Type } from 'typebox';
import type { App } from '../app-instance.ts';
import type { BatchFinder } from '../batches/batch-finder.ts';
import { listRows } from '../batches/results/list-rows.ts';
import { createPartReader, type ResultStates } from '../batches/results/part-reader.ts';
import { columnsOf } from '../batches/results/results-ndjson.ts';
import type { JobViewer } from '../jobs/job-viewer.ts';
import { JobParams } from './job-params.ts';
import { answers, listOf } from './responses.ts';

/** A row with its job, as clients read it. */
export const RowSchema = Type.Object({
  ...JobSchema.properties,
  row_id: Type.Union([Type.String(), Type.Null()], {
    description: 'Your own id, from the column `id` or `custom_id`.',
  }),
  line: Type.Integer({ description: 'Of the upload, from 1; of a JSON array the number of the item.' }),
  columns: Type.Object({}, { additionalProperties: true, description: 'The row as it was given, by column.' }),
});

const RowsQuery = Type.Object(
  {
    limit: Type.Integer({ minimum: 1, maximum: 100, default: 20 }),
    after: Type.Optional(
      Type.String({ pattern: '^\\d{1,9}$', description: 'the `next` of the page before: the number of a row.' }),
    ),
    status: Type.Optional(Type.Enum([...ROW_STATUSES])),
  },
  { additionalProperties: false },
);

/**
 * `GET /v1/batches/{id}/rows`: rows in order, as jobs. A page with a filter may have fewer rows than `limit`, or none,
 * and `has_more`: it looks through 20,000 rows at most.
 */
export function batchRowsRoute(
  app: App,
  {
    finder,
    states,
    files,
    jobs,
    viewer,
  }: {
    readonly finder: BatchFinder;
    readonly states: ResultStates;
    readonly files: BatchFiles;
    readonly jobs: JobStore;
    readonly viewer: JobViewer;
  },
): void {
  app.get(
    '/batches/:id/rows',
    {
      schema: {
        summary: 'List the rows of a batch',
        params: JobParams,
        querystring: RowsQuery,
        response: answers({ 200: listOf(RowSchema) }),
      },
    },
    async (request) => {
      const { id } = request.params;
      request.record.batch_id = id.slice(0, 40);
      const { limit, status, after } = request.query;
      const { record } = await finder.find(id, request.account);
      const { read } = createPartReader({ states, files, record, sameRedis: request.sameRedis });
      const page = await listRows({ record, read }, { status, after: Number(after ?? 0), limit });
      const live = await Promise.all(
        page.rows.map(({ row }) => (isFinal(row.status) ? undefined : jobs.get(rowJobId(id, row.record.row)))),
      );
      const shown = await viewer.view(page.rows.map(({ row, batch }, i) => rowJob(record, row, batch, live[i])));
      return {
        object: 'list' as const,
        data: page.rows.flatMap(({ row }, i) => {
          const job = shown[i];
          const { id: rowId = null, line } = row.record;
          return job === undefined ? [] : [{ ...job, row_id: rowId, line, columns: columnsOf(record, row.record) }];
        }),
        has_more: page.next !== undefined,
        next: page.next === undefined ? null : String(page.next),
      };
    },
  );
}
