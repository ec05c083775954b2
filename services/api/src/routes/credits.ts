import type { BatchFiles } from '@renderyard/shared/batch/batch-files';
import type { BatchStates } from '@renderyard/shared/batch/batch-states';
import type { Clock } from '@renderyard/shared/clock';
import type { Config } from '@renderyard/shared/config';
import type { Ledger } from '@renderyard/shared/credits/ledger';
import { holdByOperator, resumeByOperator } from '@renderyard/shared/credits/operator-hold';
import type { JobStore } from '@renderyard/shared/job/job-store';
import type { TicketQueue } from '@renderyard/shared/job/ticket-queue';
import type { Store } from '@renderyard/shared/store/store';
import { Type } from 'typebox';
import type { App } from '../app-instance.ts';
import { CreditsSchema } from '../credits/credits-view.ts';
import { dropBacklog } from '../credits/drop-backlog.ts';
import { readCredits } from '../credits/read-credits.ts';
import type { Feeder } from '../jobs/feeder.ts';
import { answers } from './responses.ts';

const HoldBody = Type.Object(
  { detail: Type.Optional(Type.String({ minLength: 1, maxLength: 500, description: 'Why; jobs that wait show it.' })) },
  { additionalProperties: false },
);
const ResumeBody = Type.Object(
  {
    backlog: Type.Enum(['run', 'drop'], {
      default: 'run',
      description: "`drop` cancels the caller's queued jobs before work goes on.",
    }),
  },
  { additionalProperties: false },
);
const ResumeSchema = Type.Object({ ...CreditsSchema.properties, dropped: Type.Integer() });

/** `GET /v1/credits`, and an operator's hold: no call is made while it stands, whatever else happens. */
export function creditsRoutes(
  app: App,
  deps: {
    readonly ledger: Ledger;
    readonly jobs: JobStore;
    readonly states: BatchStates;
    readonly files: BatchFiles;
    readonly queue: TicketQueue;
    readonly store: Store;
    readonly feedQueue: Feeder;
    readonly config: Config;
    readonly clock: Clock;
  },
): void {
  const { feedQueue } = deps;
  app.get(
    '/credits',
    { schema: { summary: 'Read the books', response: answers({ 200: CreditsSchema }) } },
    async (request) => readCredits(deps, request.account),
  );

  app.post(
    '/credits/hold',
    { schema: { summary: 'Hold all work', body: HoldBody, response: answers({ 200: CreditsSchema }) } },
    async (request) => {
      await holdByOperator(deps, request.body.detail ?? 'An operator holds all work. It goes on when they resume it.');
      return readCredits(deps, request.account);
    },
  );

  app.post(
    '/credits/resume',
    { schema: { summary: "End the operator's hold", body: ResumeBody, response: answers({ 200: ResumeSchema }) } },
    async (request) => {
      // Before the hold ends, so that none of them starts.
      const dropped = request.body.backlog === 'drop' ? await dropBacklog(deps, request.account) : 0;
      await resumeByOperator(deps);
      await feedQueue();
      return { ...(await readCredits(deps, request.account)), dropped };
    },
  );
}
