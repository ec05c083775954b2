import type { BatchFiles } from '@renderyard/shared/batch/batch-files';
import type { App } from '../app-instance.ts';
import { NumberedQuery } from '../audit-schema.ts';
import { BatchChangeSchema, listBatchChanges } from '../batches/batch-audit.ts';
import type { BatchFinder } from '../batches/batch-finder.ts';
import { JobParams } from './job-params.ts';
import { answers, listOf } from './responses.ts';

/** `GET /v1/batches/{id}/changes`: who decided what about a batch, the newest first. */
export function batchChangesRoute(
  app: App,
  { finder, files }: { readonly finder: BatchFinder; readonly files: BatchFiles },
): void {
  app.get(
    '/batches/:id/changes',
    {
      schema: {
        summary: 'List the decisions about a batch',
        params: JobParams,
        querystring: NumberedQuery,
        response: answers({ 200: listOf(BatchChangeSchema) }),
      },
    },
    async (request) => {
      const { id } = request.params;
      request.record.batch_id = id.slice(0, 40);
      const { record } = await finder.find(id, request.account);
      const { limit, after } = request.query;
      const before = after === undefined ? undefined : Number(after);
      const { data, next } = await listBatchChanges(files, record, { before, limit });
      return { object: 'list' as const, data, has_more: next !== null, next };
    },
  );
}
