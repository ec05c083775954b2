import { isFinal, JOB_STATUSES } from '@renderyard/shared/job/job';
import { JobSchema } from '@renderyard/shared/job/job-view';
import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import type { App } from '../app-instance.ts';
import { findJob, type JobFinder } from '../jobs/find-job.ts';
import { JobRequestSchema, readJobRequest } from '../jobs/job-request.ts';
import type { JobViewer } from '../jobs/job-viewer.ts';
import { preferredWait } from '../jobs/prefer-wait.ts';
import { type SubmitDeps, submitAndWait } from '../jobs/submit-and-wait.ts';
import { resourceId } from '../plugins/idempotency.ts';
import { originOf } from '../plugins/request-record.ts';
import type { OwnWebhookChecks } from '../webhooks/own-webhook.ts';
import { JobParams } from './job-params.ts';
import { answers, listOf } from './responses.ts';

const ListQuery = Type.Object(
  {
    limit: Type.Integer({ minimum: 1, maximum: 100, default: 20 }),
    after: Type.Optional(
      Type.String({
        pattern: '^job_[0-9a-hjkmnp-tv-z]{26}$',
        description: 'the `next` of the page before: the id of its last job.',
      }),
    ),
    status: Type.Optional(Type.Enum([...JOB_STATUSES])),
  },
  { additionalProperties: false },
);

/**
 * `POST /v1/jobs`: 202 with the job, or with `Prefer: wait=N` 200 when it ended in time. `GET /v1/jobs/{id}` and
 * `GET /v1/jobs`: the caller's jobs, the newest first.
 */
export function jobsRoutes(
  app: App,
  deps: SubmitDeps & JobFinder & { readonly viewer: JobViewer; readonly webhooks: OwnWebhookChecks },
): void {
  const { jobs, viewer, clock } = deps;
  app.route({
    method: 'POST',
    url: '/jobs',
    schema: { summary: 'Submit a job', body: JobRequestSchema, response: answers({ 200: JobSchema, 202: JobSchema }) },
    // The schema documents; the body is checked with better words below.
    validatorCompiler: () => () => true,
    handler: async (request, reply) => {
      const jobRequest = await readJobRequest(request.body, deps.webhooks);
      const id = resourceId(request);
      request.record.job_id = id;
      const waitSeconds = preferredWait(request.headers.prefer);
      const submission = {
        ...{ id, account: request.account, request: jobRequest, now: clock.now() },
        origin: originOf(request),
      };
      const job = await submitAndWait(deps, submission, { waitSeconds, gone: clientGone(reply) });
      const view = await viewer.viewAccepted(job);
      if (waitSeconds !== undefined) reply.header('preference-applied', `wait=${waitSeconds}`);
      return reply
        .code(waitSeconds !== undefined && isFinal(job.status) ? 200 : 202)
        .header('location', view.urls.self)
        .send(view);
    },
  });

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
      return viewer.viewOne(await findJob(deps, id, request.account));
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

/** Aborts when the connection closes; the request's own signal would when its body has been read. */
function clientGone(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  if (reply.raw.closed) controller.abort();
  else reply.raw.once('close', () => controller.abort());
  return controller.signal;
}
