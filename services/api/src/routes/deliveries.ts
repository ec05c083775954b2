import type { Clock } from '@renderyard/shared/clock';
import { DELIVERY_STATUSES, type Delivery } from '@renderyard/shared/webhook/delivery';
import type { WebhookStore } from '@renderyard/shared/webhook/webhook-store';
import { Type } from 'typebox';
import type { App } from '../app-instance.ts';
import { DELIVERED_TYPES, DeliverySchema, viewDelivery } from '../deliveries/delivery-view.ts';
import { listDeliveries } from '../deliveries/list-deliveries.ts';
import type { ReceiverLookup } from '../deliveries/receiver-lookup.ts';
import { replayFailed } from '../deliveries/replay-failed.ts';
import { findDelivery, replayOne } from '../deliveries/replay-one.ts';
import { ReplayBody, readReplayRange } from '../deliveries/replay-range.ts';
import { isContinued } from '../plugins/idempotency.ts';
import { JobParams } from './job-params.ts';
import { answers, listOf } from './responses.ts';

const ID = '[0-9a-hjkmnp-tv-z]{26}';
const idText = (pattern: string, description: string) => Type.Optional(Type.String({ pattern, description }));
const ListQuery = Type.Object(
  {
    limit: Type.Integer({ minimum: 1, maximum: 100, default: 20 }),
    after: idText(`^dlv_${ID}$`, 'the `next` of the page before: the id of a delivery.'),
    status: Type.Optional(Type.Enum([...DELIVERY_STATUSES])),
    webhook_id: idText(`^whk_${ID}$`, 'the id of a webhook: whk_….'),
    type: Type.Optional(Type.Enum([...DELIVERED_TYPES])),
    job_id: idText(`^job_${ID}(_[1-9][0-9]{0,9})?$`, 'the id of a job: job_….'),
    batch_id: idText(`^bat_${ID}$`, 'the id of a batch: bat_….'),
  },
  { additionalProperties: false },
);
const NoBody = Type.Object({}, { additionalProperties: false });
const ReplaySchema = Type.Object({
  object: Type.Literal('replay'),
  replayed: Type.Integer({ description: 'Deliveries that are sent again.' }),
  skipped: Type.Integer({ description: 'Failed ones whose webhook is disabled or deleted, or has too many waiting.' }),
});

export interface DeliveriesDeps {
  readonly store: WebhookStore;
  readonly receivers: ReceiverLookup;
  readonly publicUrl: string;
  readonly clock: Clock;
}

/** `GET /v1/deliveries` and `/{id}`: what was sent to whom; `POST …/replay` sends one, or all that failed, again. */
export function deliveriesRoutes(app: App, { store, receivers, publicUrl, clock }: DeliveriesDeps): void {
  const viewAll = async (deliveries: readonly Delivery[]) => {
    const urls = await receivers.urlsOf(deliveries);
    return deliveries.map((delivery, index) => viewDelivery(delivery, urls[index], publicUrl));
  };
  const viewOne = async (delivery: Delivery) => {
    const [url] = await receivers.urlsOf([delivery]);
    return viewDelivery(delivery, url, publicUrl);
  };

  app.get(
    '/deliveries',
    {
      schema: {
        summary: 'List deliveries',
        querystring: ListQuery,
        response: answers({ 200: listOf(DeliverySchema) }),
      },
    },
    async (request) => {
      const { deliveries, next } = await listDeliveries({ store, receivers }, request.account, request.query);
      return { object: 'list' as const, data: await viewAll(deliveries), has_more: next !== null, next };
    },
  );

  app.get(
    '/deliveries/:id',
    { schema: { summary: 'Read a delivery', params: JobParams, response: answers({ 200: DeliverySchema }) } },
    async (request) => {
      const { id } = request.params;
      request.record.delivery_id = id.slice(0, 40);
      const delivery = await findDelivery(store, id, request.account);
      return { ...(await viewOne(delivery)), body: delivery.body };
    },
  );

  app.post(
    '/deliveries/:id/replay',
    {
      schema: {
        summary: 'Send a delivery again',
        params: JobParams,
        body: NoBody,
        response: answers({ 202: DeliverySchema }),
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      request.record.delivery_id = id.slice(0, 40);
      const asked = { id, account: request.account, again: isContinued(request) };
      const view = await viewOne(await replayOne(store, asked));
      return reply.code(202).header('location', view.urls.self).send(view);
    },
  );

  app.post(
    '/deliveries/replay',
    {
      schema: {
        summary: 'Send all deliveries that failed since a time again',
        body: ReplayBody,
        response: answers({ 202: ReplaySchema }),
      },
    },
    async (request, reply) => {
      const range = readReplayRange(request.body, clock.now());
      const count = await replayFailed({ store, receivers }, request.account, range);
      Object.assign(request.record, count);
      return reply.code(202).send({ object: 'replay' as const, ...count });
    },
  );
}
