import type { Store } from '@renderyard/shared/store/store';
import { Type } from 'typebox';
import type { App } from '../app-instance.ts';
import { deleteJob } from '../jobs/delete-job.ts';
import { findJob, type JobFinder } from '../jobs/find-job.ts';
import { DeleteQuery } from './batches.ts';
import { JobParams } from './job-params.ts';
import { answers } from './responses.ts';

/** `DELETE /v1/jobs/{id}`: an ended job, with its image if that is asked for. */
export function jobDeletionRoute(app: App, deps: JobFinder & { readonly store: Store }): void {
  app.delete(
    '/jobs/:id',
    {
      schema: {
        summary: 'Delete a job',
        params: JobParams,
        querystring: DeleteQuery,
        response: answers({ 204: Type.Null({ description: 'It is gone.' }) }),
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      request.record.job_id = id.slice(0, 40);
      const job = await findJob(deps, id, request.account);
      await deleteJob(deps, job, { images: request.query.images === 'true' });
      return reply.code(204).send(null);
    },
  );
}
