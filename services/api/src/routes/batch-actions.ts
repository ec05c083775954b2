import type { BatchAction } from '@renderyard/shared/batch/batch';
import { BatchSchema } from '@renderyard/shared/batch/batch-view';
import type { BatchViewer } from '@renderyard/shared/batch/batch-viewer';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { App } from '../app-instance.ts';
import { type Change, cancel, pause, resume, retry } from '../batches/batch-changes.ts';
import { type DecideDeps, decideBatch } from '../batches/decide-batch.ts';
import { isContinued } from '../plugins/idempotency.ts';
import { JobParams } from './job-params.ts';
import { answers } from './responses.ts';

const NoBody = Type.Object({}, { additionalProperties: false });
const ACTIONS = [
  { name: 'pause', summary: 'Pause a batch', change: pause },
  { name: 'resume', summary: 'Resume a batch', change: resume },
  { name: 'cancel', summary: 'Cancel a batch', change: cancel },
] as const;

/** `POST /v1/batches/{id}/pause`, `/resume`, `/cancel` and `/retry`: the batch as it is afterwards, or 409. */
export function batchActionRoutes(app: App, deps: DecideDeps & { readonly viewer: BatchViewer }): void {
  const act = async (
    request: FastifyRequest,
    { id, action, change }: { id: string; action: BatchAction; change: (again: boolean) => Change },
  ) => {
    request.record.batch_id = id.slice(0, 40);
    const found = await decideBatch(deps, { id, account: request.account, action }, change(isContinued(request)));
    return deps.viewer.viewOne(found);
  };
  for (const { name, summary, change } of ACTIONS)
    app.post(
      `/batches/:id/${name}`,
      { schema: { summary, params: JobParams, body: NoBody, response: answers({ 200: BatchSchema }) } },
      async (request) => act(request, { id: request.params.id, action: name, change }),
    );

  app.post(
    '/batches/:id/retry',
    {
      schema: {
        summary: 'Retry the failed rows of a batch',
        params: JobParams,
        body: NoBody,
        response: answers({ 202: BatchSchema }),
      },
    },
    async (request, reply) => {
      const view = await act(request, { id: request.params.id, action: 'retry', change: retry });
      return reply.code(202).header('location', view.urls.self).send(view);
    },
  );
}
