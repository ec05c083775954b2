import type { Clock } from '@renderyard/shared/clock';
import { isFinal } from '@renderyard/shared/job/job';
import type { JobStore } from '@renderyard/shared/job/job-store';
import type { FastifyReply } from 'fastify';
import type { App } from '../app-instance.ts';
import type { EndedJobs } from '../jobs/ended-jobs.ts';
import type { Feeder } from '../jobs/feeder.ts';
import { JobRequestSchema, readJobRequest } from '../jobs/job-request.ts';
import { JobSchema } from '../jobs/job-view.ts';
import type { JobViewer } from '../jobs/job-viewer.ts';
import { preferredWait } from '../jobs/prefer-wait.ts';
import { submitJob } from '../jobs/submit-job.ts';
import { waitForEnd } from '../jobs/wait-for-end.ts';
import { resourceId } from '../plugins/idempotency.ts';
import { answers } from './responses.ts';

export interface SubmitJobDeps {
  readonly jobs: JobStore;
  readonly viewer: JobViewer;
  readonly feedQueue: Feeder;
  readonly endedJobs: EndedJobs;
  readonly mostWaiting: number;
  readonly clock: Clock;
}

/** `POST /v1/jobs`: 202 with the job, or with `Prefer: wait=N` 200 when it ended in time. */
export function submitJobRoute(app: App, deps: SubmitJobDeps): void {
  const { jobs, viewer, endedJobs, clock } = deps;
  app.route({
    method: 'POST',
    url: '/jobs',
    schema: { summary: 'Submit a job', body: JobRequestSchema, response: answers({ 200: JobSchema, 202: JobSchema }) },
    // The schema documents; the body is checked with better words below.
    validatorCompiler: () => () => true,
    handler: async (request, reply) => {
      const jobRequest = readJobRequest(request.body);
      const id = resourceId(request);
      request.record.job_id = id;
      const seconds = preferredWait(request.headers.prefer);
      const read = () => jobs.get(id);
      // Before the job exists, so that its end cannot be missed.
      const watch = seconds === undefined ? undefined : endedJobs.watch(id);
      try {
        const submission = { id, account: request.account, request: jobRequest, now: clock.now() };
        const accepted = await submitJob(deps, submission);
        const now =
          watch === undefined || seconds === undefined
            ? await read().catch(() => undefined)
            : await waitForEnd({ endedJobs, watch, read, waitMs: seconds * 1000, gone: clientGone(reply), clock });
        const job = now ?? accepted;
        if (seconds !== undefined) reply.header('preference-applied', `wait=${seconds}`);
        const view = await viewer.viewAccepted(job);
        return reply
          .code(watch !== undefined && isFinal(job.status) ? 200 : 202)
          .header('location', view.urls.self)
          .send(view);
      } finally {
        watch?.close();
      }
    },
  });
}

/** Aborts when the connection closes; the request's own signal would when its body has been read. */
function clientGone(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  if (reply.raw.closed) controller.abort();
  else reply.raw.once('close', () => controller.abort());
  return controller.signal;
}
