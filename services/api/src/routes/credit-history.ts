import type { CreditDecisions } from '@renderyard/shared/credits/credit-decisions';
import type { Ledger } from '@renderyard/shared/credits/ledger';
import { Type } from 'typebox';
import type { App } from '../app-instance.ts';
import { NumberedQuery } from '../audit-schema.ts';
import { CreditChangeSchema, CreditEventSchema, viewChange, viewEvent } from '../credits/event-view.ts';
import { answers, listOf } from './responses.ts';

const EventsQuery = Type.Object(
  {
    limit: Type.Integer({ minimum: 1, maximum: 100, default: 20 }),
    after: Type.Optional(
      Type.String({
        pattern: '^evt_[0-9a-z_-]{1,60}$',
        description: 'the `next` of the page before: the id of its last event.',
      }),
    ),
  },
  { additionalProperties: false },
);

/**
 * `GET /v1/credits/changes` and `/events`: what people decided and what became of the credits, the newest first.
 */
export function creditHistoryRoutes(
  app: App,
  { ledger, decisions }: { readonly ledger: Ledger; readonly decisions: CreditDecisions },
): void {
  app.get(
    '/credits/changes',
    {
      schema: {
        summary: 'List the decisions about credits',
        querystring: NumberedQuery,
        response: answers({ 200: listOf(CreditChangeSchema) }),
      },
    },
    async (request) => {
      const { limit, after } = request.query;
      const found = await decisions.list({ before: after === undefined ? undefined : Number(after), limit: limit + 1 });
      return pageOf(found.map(viewChange), limit, ({ seq }) => String(seq));
    },
  );

  app.get(
    '/credits/events',
    {
      schema: {
        summary: 'List the changes of the state of credits',
        querystring: EventsQuery,
        response: answers({ 200: listOf(CreditEventSchema) }),
      },
    },
    async (request) => {
      const { limit, after } = request.query;
      const found = await ledger.events({ limit: limit + 1, ...(after === undefined ? {} : { before: after }) });
      return pageOf(found.map(viewEvent), limit, ({ id }) => id);
    },
  );
}

/** A page of a list of which one more than `limit` was read. */
function pageOf<T>(found: readonly T[], limit: number, nameOf: (last: T) => string) {
  const data = found.slice(0, limit);
  const last = data.at(-1);
  const next = found.length > limit && last !== undefined ? nameOf(last) : null;
  return { object: 'list' as const, data, has_more: next !== null, next };
}
