import { BatchSchema } from '@renderyard/shared/batch/batch-view';
import { JobSchema } from '@renderyard/shared/job/job-view';
import { Type } from 'typebox';
import type { App } from '../app-instance.ts';
import { CreditsSchema } from '../credits/credits-schema.ts';
import { ProblemSchema } from '../errors/problem-document.ts';
import { JobRequestSchema } from '../jobs/job-request.ts';
import { buildDocument, type DescribedRoute } from '../openapi/build-document.ts';
import { WebhookSchema } from '../webhooks/webhook-view.ts';

/** Of the API; a change that breaks clients would make it /v2. */
const VERSION = '1';
const NAMED = {
  Batch: BatchSchema,
  Job: JobSchema,
  JobRequest: JobRequestSchema,
  Credits: CreditsSchema,
  Webhook: WebhookSchema,
  Problem: ProblemSchema,
};

/** `GET /openapi.json`: every route with a summary. Must be called before the routes that it tells of. */
export function openapiRoute(app: App): void {
  const routes: DescribedRoute[] = [];
  app.addHook('onRoute', ({ method, url, schema }) => {
    const summary = (schema as DescribedRoute['schema'] | undefined)?.summary;
    if (schema === undefined || summary === undefined) return;
    for (const each of [method].flat())
      if (each !== 'HEAD') routes.push({ method: each, url, schema, needsKey: url.startsWith('/v1/') });
  });
  let document: ReturnType<typeof buildDocument> | undefined;
  app.get(
    '/openapi.json',
    {
      schema: {
        summary: 'Read this document',
        response: { 200: Type.Object({}, { additionalProperties: true, description: 'The OpenAPI document.' }) },
      },
    },
    async () => {
      document ??= buildDocument(routes, { version: VERSION, named: NAMED });
      return document;
    },
  );
}
