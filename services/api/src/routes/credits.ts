import { Type } from 'typebox';
import type { App } from '../app-instance.ts';
import { set } from '../credits/credit-changes.ts';
import { CreditsPatchSchema, readCreditsPatch } from '../credits/credits-patch.ts';
import { CreditsSchema } from '../credits/credits-schema.ts';
import { decideCredits } from '../credits/decide-credits.ts';
import { holdWork } from '../credits/hold-work.ts';
import { type CreditsReading, readCredits } from '../credits/read-credits.ts';
import { type ResumeDeps, resumeWork } from '../credits/resume-work.ts';
import { answers } from './responses.ts';

const HoldBody = Type.Object(
  {
    detail: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 500,
        // No control characters.
        pattern: '^[^\\u0000-\\u001f\\u007f]*$',
        description: 'text of 1 to 500 characters on one line: why. Jobs that wait show it.',
      }),
    ),
  },
  { additionalProperties: false },
);
const ResumeBody = Type.Object(
  {
    backlog: Type.Enum(['run', 'drop'], {
      default: 'run',
      description: "`drop` cancels the caller's queued jobs and batches before work goes on.",
    }),
  },
  { additionalProperties: false },
);
const ResumeSchema = Type.Object({
  ...CreditsSchema.properties,
  dropped: Type.Integer({ description: 'Jobs that were canceled.' }),
  dropped_batches: Type.Integer({ description: 'Batches that were canceled.' }),
});

/**
 * `GET` and `PATCH /v1/credits`, and an operator's hold: no call is made while it stands, whatever else happens.
 */
export function creditsRoutes(app: App, deps: ResumeDeps & CreditsReading): void {
  const { ledger, access, clock } = deps;
  app.get(
    '/credits',
    { schema: { summary: 'Read the books', response: answers({ 200: CreditsSchema }) } },
    async (request) => readCredits(deps, request.caller),
  );

  app.route({
    method: 'PATCH',
    url: '/credits',
    schema: {
      summary: 'Set limits and the budgets of API keys',
      body: CreditsPatchSchema,
      response: answers({ 200: CreditsSchema }),
    },
    // The schema documents; the body is checked with better words below.
    validatorCompiler: () => () => true,
    handler: async (request) => {
      const { keys } = await ledger.snapshot(clock.now());
      // The budget of a key that is configured no more can still be taken away.
      const budgeted = [...keys].filter(([, { budget }]) => Object.keys(budget).length > 0).map(([name]) => name);
      const known = new Set([...(await access.accounts()), ...budgeted]);
      await decideCredits(deps, request.account, set(readCreditsPatch(request.body, [...known])));
      return readCredits(deps, request.caller);
    },
  });

  app.post(
    '/credits/hold',
    { schema: { summary: 'Hold all work', body: HoldBody, response: answers({ 200: CreditsSchema }) } },
    async (request) => {
      const detail = request.body.detail ?? 'An operator holds all work. It goes on when they resume it.';
      await holdWork(deps, request.account, detail);
      return readCredits(deps, request.caller);
    },
  );

  app.post(
    '/credits/resume',
    { schema: { summary: "End the operator's hold", body: ResumeBody, response: answers({ 200: ResumeSchema }) } },
    async (request) => {
      const { jobs, batches } = await resumeWork(deps, request.account, request.body.backlog);
      return { ...(await readCredits(deps, request.caller)), dropped: jobs, dropped_batches: batches };
    },
  );
}
