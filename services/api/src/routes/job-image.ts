import { isFinal } from '@renderyard/shared/job/job';
import type { Store } from '@renderyard/shared/store/store';
import { Type } from 'typebox';
import type { App } from '../app-instance.ts';
import { ProblemError } from '../errors/problem-error.ts';
import { findJob, type JobFinder } from '../jobs/find-job.ts';
import { JobParams } from './job-params.ts';
import { answers } from './responses.ts';

/** Long enough to be opened by hand, short enough for a link that anyone may use. */
const LINK_SECONDS = 15 * 60;

/** `GET /v1/jobs/{id}/image`: leads to the image in the store by a link that expires. */
export function jobImageRoute(app: App, { store, ...finder }: JobFinder & { readonly store: Store }): void {
  app.get(
    '/jobs/:id/image',
    {
      schema: {
        summary: "Go to a job's image",
        params: JobParams,
        response: answers({ 302: Type.Null({ description: '`Location` is a link that expires after 15 minutes.' }) }),
      },
    },
    async (request, reply) => {
      request.record.job_id = request.params.id.slice(0, 40);
      const job = await findJob(finder, request.params.id, request.account);
      const [image] = job.output;
      if (image === undefined)
        throw isFinal(job.status)
          ? new ProblemError('no_image', `The job is ${job.status} and has no image.`)
          : new ProblemError('image_not_ready', undefined, { retryAfter: 2 });
      const link = await store.link(image.key, {
        expiresInSeconds: LINK_SECONDS,
        contentType: image.content_type,
        filename: image.key.slice(image.key.lastIndexOf('/') + 1),
      });
      return reply.redirect(link, 302);
    },
  );
}
