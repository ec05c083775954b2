import { BATCH_STATUSES } from '@renderyard/shared/batch/batch';
import { BatchSchema } from '@renderyard/shared/batch/batch-view';
import type { BatchViewer } from '@renderyard/shared/batch/batch-viewer';
import { Type } from 'typebox';
import type { App } from '../app-instance.ts';
import { patch } from '../batches/batch-changes.ts';
import { PatchSchema, readPatch } from '../batches/batch-patch.ts';
import { type DecideDeps, decideBatch } from '../batches/decide-batch.ts';
import { deleteBatch } from '../batches/delete-batch.ts';
import { listBatches } from '../batches/list-batches.ts';
import type { OwnWebhookChecks } from '../webhooks/own-webhook.ts';
import { JobParams } from './job-params.ts';
import { answers, listOf } from './responses.ts';

const ListQuery = Type.Object(
  {
    limit: Type.Integer({ minimum: 1, maximum: 100, default: 20 }),
    after: Type.Optional(
      Type.String({
        pattern: '^bat_[0-9a-hjkmnp-tv-z]{26}$',
        description: 'the `next` of the page before: the id of a batch.',
      }),
    ),
    status: Type.Optional(Type.Enum([...BATCH_STATUSES])),
  },
  { additionalProperties: false },
);

/** Whether the images go, too. */
export const DeleteQuery = Type.Object(
  { images: Type.Enum(['true', 'false'], { default: 'false', description: '`true`: with the images in the store.' }) },
  { additionalProperties: false },
);

/** `GET`, `PATCH` and `DELETE /v1/batches/{id}`, and `GET /v1/batches`: the caller's batches, the newest first. */
export function batchesRoutes(
  app: App,
  deps: DecideDeps & { readonly viewer: BatchViewer; readonly webhooks: OwnWebhookChecks },
): void {
  const { finder, viewer } = deps;
  app.get(
    '/batches',
    { schema: { summary: 'List batches', querystring: ListQuery, response: answers({ 200: listOf(BatchSchema) }) } },
    async (request) => {
      const { batches, next } = await listBatches(deps, request.account, request.query);
      return { object: 'list' as const, data: await viewer.view(batches), has_more: next !== null, next };
    },
  );

  app.get(
    '/batches/:id',
    { schema: { summary: 'Read a batch', params: JobParams, response: answers({ 200: BatchSchema }) } },
    async (request) => {
      const { id } = request.params;
      request.record.batch_id = id.slice(0, 40);
      return viewer.viewOne(await finder.find(id, request.account));
    },
  );

  app.route({
    method: 'PATCH',
    url: '/batches/:id',
    schema: {
      summary: 'Change a batch',
      params: JobParams,
      body: PatchSchema,
      response: answers({ 200: BatchSchema }),
    },
    // The schema documents; the body is checked with better words below.
    validatorCompiler: () => () => true,
    handler: async (request) => {
      const { id } = request.params;
      request.record.batch_id = id.slice(0, 40);
      const changes = await readPatch(request.body, deps.webhooks);
      const who = { id, account: request.account, action: 'set' } as const;
      return viewer.viewOne(await decideBatch(deps, who, patch(changes)));
    },
  });

  app.delete(
    '/batches/:id',
    {
      schema: {
        summary: 'Delete a batch',
        params: JobParams,
        querystring: DeleteQuery,
        response: answers({ 204: Type.Null({ description: 'It is gone.' }) }),
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      request.record.batch_id = id.slice(0, 40);
      const found = await finder.find(id, request.account);
      await deleteBatch(deps, found, { images: request.query.images === 'true' });
      return reply.code(204).send(null);
    },
  );
}
