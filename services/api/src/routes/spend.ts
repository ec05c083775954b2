import type { Clock } from '@renderyard/shared/clock';
import type { Ledger } from '@renderyard/shared/credits/ledger';
import type { Access } from '../access/access.ts';
import { createSight } from '../access/sight.ts';
import type { App } from '../app-instance.ts';
import { readSpendRange, SpendQuery } from '../credits/spend-range.ts';
import { reportSpend, SpendSchema } from '../credits/spend-report.ts';
import { answers } from './responses.ts';

/** `GET /v1/credits/spend`: what was spent when, by whom and for what; of others only by who may know of it. */
export function spendRoute(
  app: App,
  { ledger, clock, access }: { readonly ledger: Ledger; readonly clock: Clock; readonly access: Access },
): void {
  app.get(
    '/credits/spend',
    {
      schema: { summary: 'Read what was spent', querystring: SpendQuery, response: answers({ 200: SpendSchema }) },
    },
    async (request) => {
      const hours = readSpendRange(request.query, clock.now());
      const sight = await createSight(access, request.caller);
      const entries = await ledger.books({ fromHour: hours[0], toHour: hours[1] });
      const seen = entries.filter(({ account }) => sight.seesSpending(account));
      return reportSpend(seen, { by: request.query.by, hours, mayShow: sight.seesWork });
    },
  );
}
