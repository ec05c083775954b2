import type { Job } from '@renderyard/shared/job/job';
import { JobSchema } from '@renderyard/shared/job/job-view';
import type { TicketQueue } from '@renderyard/shared/job/ticket-queue';
import type { Logger } from '@renderyard/shared/logger';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { App } from '../app-instance.ts';
import { ProblemError } from '../errors/problem-error.ts';
import { cancelJob } from '../jobs/cancel-job.ts';
import type { Feeder } from '../jobs/feeder.ts';
import { findJob, type JobFinder } from '../jobs/find-job.ts';
import type { JobViewer } from '../jobs/job-viewer.ts';
import { retryJob } from '../jobs/retry-job.ts';
import { isContinued } from '../plugins/idempotency.ts';
import { JobParams } from './job-params.ts';
import { answers } from './responses.ts';

const NoBody = Type.Object({}, { additionalProperties: false });

/** `POST /v1/jobs/{id}/cancel` and `/retry`: the job as it is afterwards, or 409 where it makes no sense. */
export function jobActionRoutes(
  app: App,
  deps: JobFinder & {
    readonly queue: TicketQueue;
    readonly viewer: JobViewer;
    readonly feedQueue: Feeder;
    readonly logger: Logger;
    readonly mostWaiting: number;
  },
): void {
  const { viewer } = deps;
  const act = async (
    request: FastifyRequest,
    id: string,
    action: (job: Job, how: { readonly again: boolean }) => Promise<void>,
  ) => {
    request.record.job_id = id.slice(0, 40);
    const job = await findJob(deps, id, request.account);
    if (job.batch !== undefined)
      throw new ProblemError(
        'row_of_batch',
        `The job is row ${job.row} of ${job.batch}. Cancel or retry the batch: POST /v1/batches/${job.batch}/cancel or /retry.`,
      );
    await action(job, { again: isContinued(request) });
    return viewer.viewOne(await findJob(deps, id, request.account));
  };

  app.post(
    '/jobs/:id/cancel',
    { schema: { summary: 'Cancel a job', params: JobParams, body: NoBody, response: answers({ 200: JobSchema }) } },
    async (request) => act(request, request.params.id, (job, how) => cancelJob(deps, job, how)),
  );

  app.post(
    '/jobs/:id/retry',
    { schema: { summary: 'Retry a job', params: JobParams, body: NoBody, response: answers({ 202: JobSchema }) } },
    async (request, reply) => {
      const view = await act(request, request.params.id, ({ id }, how) => retryJob(deps, { id, ...how }));
      return reply.code(202).header('location', view.urls.self).send(view);
    },
  );
}
