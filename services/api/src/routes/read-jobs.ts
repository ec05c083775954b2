import { JOB_STATUSES } from '@renderyard/shared/job/job';
import type { JobStore } from '@renderyard/shared/job/job-store';
import { Type } from 'typebox';
import type { App } from '../app-instance.ts';
import { findJob } from '../jobs/find-job.ts';
import { JobSchema } from '../jobs/job-view.ts';
import type { JobViewer } from '../jobs/job-viewer.ts';
import { answers, listOf } from './responses.ts';

const ListQuery = Type.Object(
  {
    limit: Type.Integer({ minimum: 1, maximum: 100, default: 20 }),
    after: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 40,
        description: 'The `next` of the page before: the id of its last job.',
      }),
    ),
    status: Type.Optional(Type.Enum([...JOB_STATUSES])),
  },
  { additionalProperties: false },
);

export const JobParams = Type.Object({ id: Type.String({ maxLength: 4096 }) });

/** `GET /v1/jobs/{id}` and `GET /v1/jobs`: the caller's jobs, the newest first. */
export function readJobsRoutes(
  app: App,
  { jobs, viewer }: { readonly jobs: JobStore; readonly viewer: JobViewer },
): void {
  app.get(
    '/jobs/:id',
    {
      schema: {
        summary: 'Read a job',
        params: JobParams,
        response: answers({ 200: JobSchema }),
      },
    },
    async (request) => {
      const { id } = request.params;
      request.record.job_id = id.slice(0, 40);
      return viewer.viewOne(await findJob(jobs, id, request.account));
    },
  );

  app.get(
    '/jobs',
    { schema: { summary: 'List jobs', querystring: ListQuery, response: answers({ 200: listOf(JobSchema) }) } },
    async (request) => {
      const { limit, after, status } = request.query;
      const found = await jobs.list(request.account, { status, after, limit: limit + 1 });
      const page = found.slice(0, limit);
      const more = found.length > limit;
      return {
        object: 'list' as const,
        data: await viewer.view(page),
        has_more: more,
        next: more ? (page.at(-1)?.id ?? null) : null,
      };
    },
  );
}
