import type { App } from '../app-instance.ts';
import { resourceId } from '../plugins/idempotency.ts';
import { rotate } from '../webhooks/endpoint-changes.ts';
import { RotationSchema, readRotation } from '../webhooks/webhook-body.ts';
import { SecretSchema, WebhookWithSecretSchema } from '../webhooks/webhook-view.ts';
import { JobParams } from './job-params.ts';
import { answers } from './responses.ts';
import type { WebhooksDeps } from './webhooks.ts';

/** `POST /v1/webhooks/{id}/rotate-secret`, `GET …/secret`, and `GET /v1/webhooks/default/secret`. */
export function webhookSecretRoutes(
  app: App,
  {
    desk,
    secrets,
    requireSealingKey,
    defaultSecretOf,
  }: WebhooksDeps & {
    /** What signs the own webhooks of an account's jobs and batches. @throws {ProblemError} `secret_key_missing`. */
    readonly defaultSecretOf: (account: string) => string;
  },
): void {
  app.route({
    method: 'POST',
    url: '/webhooks/:id/rotate-secret',
    schema: {
      summary: 'Give a webhook another secret',
      params: JobParams,
      body: RotationSchema,
      response: answers({ 200: WebhookWithSecretSchema }),
    },
    config: { makes: 'req', answersSecret: true },
    // The schema documents; the body is checked with better words below.
    validatorCompiler: () => () => true,
    handler: async (request) => {
      const { id } = request.params;
      request.record.webhook_id = id.slice(0, 40);
      const { secret, overlapHours } = readRotation(request.body);
      requireSealingKey();
      const rotation = { request: resourceId(request), sealed: secrets.seal(id, secret), overlapHours };
      const { endpoint, view } = await desk.change(request.account, id, rotate(id, rotation));
      return { ...view, secret: secrets.open(endpoint) };
    },
  });

  app.get(
    '/webhooks/:id/secret',
    {
      schema: { summary: 'Read the secret of a webhook', params: JobParams, response: answers({ 200: SecretSchema }) },
    },
    async (request) => {
      const { id } = request.params;
      request.record.webhook_id = id.slice(0, 40);
      const { endpoint } = await desk.find(request.account, id);
      return { object: 'webhook_secret' as const, secret: secrets.open(endpoint) };
    },
  );

  app.get(
    '/webhooks/default/secret',
    {
      schema: {
        summary: 'Read the secret that signs the own webhooks of jobs and batches',
        response: answers({ 200: SecretSchema }),
      },
    },
    async (request) => ({ object: 'webhook_secret' as const, secret: defaultSecretOf(request.account) }),
  );
}
