import { Type } from 'typebox';
import type { App } from '../app-instance.ts';
import { resourceId } from '../plugins/idempotency.ts';
import { create, set } from '../webhooks/endpoint-changes.ts';
import type { EndpointSecrets } from '../webhooks/endpoint-secrets.ts';
import { NewWebhookSchema, readNewWebhook, readWebhookPatch, WebhookPatchSchema } from '../webhooks/webhook-body.ts';
import type { WebhookDesk } from '../webhooks/webhook-desk.ts';
import type { CheckWebhookUrl } from '../webhooks/webhook-url.ts';
import { WebhookSchema, WebhookWithSecretSchema } from '../webhooks/webhook-view.ts';
import { JobParams } from './job-params.ts';
import { answers, listOf } from './responses.ts';

export interface WebhooksDeps {
  readonly desk: WebhookDesk;
  readonly secrets: EndpointSecrets;
  readonly checkUrl: CheckWebhookUrl;
  /** @throws {ProblemError} `secret_key_missing`. */
  readonly requireSealingKey: () => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** `POST` and `GET /v1/webhooks`, and `GET`, `PATCH` and `DELETE /v1/webhooks/{id}`: the caller's endpoints. */
export function webhooksRoutes(app: App, { desk, secrets, checkUrl, requireSealingKey, now }: WebhooksDeps): void {
  app.route({
    method: 'POST',
    url: '/webhooks',
    schema: {
      summary: 'Register a webhook',
      body: NewWebhookSchema,
      response: answers({ 201: WebhookWithSecretSchema }),
    },
    config: { makes: 'whk', answersSecret: true },
    // The schema documents; the body is checked with better words below. So it is of the other routes.
    validatorCompiler: () => () => true,
    handler: async (request, reply) => {
      const { endpoint, secret } = await readNewWebhook(request.body, checkUrl);
      requireSealingKey();
      const id = resourceId(request);
      request.record.webhook_id = id;
      const made = await desk.change(request.account, id, create(id, endpoint, secrets.seal(id, secret)));
      return reply
        .code(201)
        .header('location', made.view.urls.self)
        .send({ ...made.view, secret: secrets.open(made.endpoint) });
    },
  });

  app.get(
    '/webhooks',
    { schema: { summary: 'List webhooks', response: answers({ 200: listOf(WebhookSchema) }) } },
    async (request) => {
      const found = await desk.list(request.account);
      return { object: 'list' as const, data: found.map(({ view }) => view), has_more: false, next: null };
    },
  );

  app.get(
    '/webhooks/:id',
    { schema: { summary: 'Read a webhook', params: JobParams, response: answers({ 200: WebhookSchema }) } },
    async (request) => {
      const { id } = request.params;
      request.record.webhook_id = id.slice(0, 40);
      return (await desk.find(request.account, id)).view;
    },
  );

  app.route({
    method: 'PATCH',
    url: '/webhooks/:id',
    schema: {
      summary: 'Change, enable or disable a webhook',
      params: JobParams,
      body: WebhookPatchSchema,
      response: answers({ 200: WebhookSchema }),
    },
    validatorCompiler: () => () => true,
    handler: async (request) => {
      const { id } = request.params;
      request.record.webhook_id = id.slice(0, 40);
      const { patch, recoverFrom } = await readWebhookPatch(request.body, checkUrl, now());
      const changed = await desk.change(request.account, id, set(id, patch));
      if (recoverFrom === undefined) return changed.view;
      await desk.recover(request.account, id, recoverFrom);
      return (await desk.find(request.account, id)).view;
    },
  });

  app.delete(
    '/webhooks/:id',
    {
      schema: {
        summary: 'Delete a webhook',
        params: JobParams,
        response: answers({ 204: Type.Null({ description: 'It is gone, and what waited for it has failed.' }) }),
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      request.record.webhook_id = id.slice(0, 40);
      await desk.remove(request.account, id);
      return reply.code(204).send(null);
    },
  );
}
