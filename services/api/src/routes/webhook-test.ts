import type { EventComposer } from '@renderyard/shared/webhook/compose-event';
import type { WebhookStore } from '@renderyard/shared/webhook/webhook-store';
import { Type } from 'typebox';
import type { App } from '../app-instance.ts';
import { DeliverySchema, viewDelivery } from '../deliveries/delivery-view.ts';
import { resourceId } from '../plugins/idempotency.ts';
import { sendTest } from '../webhooks/test-delivery.ts';
import { JobParams } from './job-params.ts';
import { answers } from './responses.ts';
import type { WebhooksDeps } from './webhooks.ts';

const NoBody = Type.Object({}, { additionalProperties: false });

/** `POST /v1/webhooks/{id}/test`: 202 with the delivery of a `webhook.test` event, or 409 while it is disabled. */
export function webhookTestRoute(
  app: App,
  deps: WebhooksDeps & {
    readonly webhookStore: WebhookStore;
    readonly composer: EventComposer;
    readonly publicUrl: string;
  },
): void {
  app.post(
    '/webhooks/:id/test',
    {
      schema: {
        summary: 'Send a test event to a webhook',
        params: JobParams,
        body: NoBody,
        response: answers({ 202: DeliverySchema }),
      },
      config: { makes: 'evt' },
    },
    async (request, reply) => {
      const { id } = request.params;
      const { account } = request;
      request.record.webhook_id = id.slice(0, 40);
      const { endpoint } = await deps.desk.find(account, id);
      const delivery = await sendTest(deps, { account, endpoint, event: resourceId(request), at: deps.now() });
      const view = viewDelivery(delivery, endpoint.url, deps.publicUrl);
      return reply.code(202).header('location', view.urls.self).send(view);
    },
  );
}
