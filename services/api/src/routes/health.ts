import type { Check } from '@renderyard/shared/health/readiness';
import { Type } from 'typebox';
import type { App } from '../app-instance.ts';
import { ProblemError } from '../errors/problem-error.ts';
import { answers } from './responses.ts';

const CheckSchema = Type.Object({ name: Type.String(), ok: Type.Boolean(), detail: Type.String() });

/** `GET /health/live`: the process runs. `GET /health/ready`: it can do its work, or 503 and why not. */
export function healthRoutes(app: App, { readiness }: { readonly readiness: () => Promise<readonly Check[]> }): void {
  app.get(
    '/health/live',
    { schema: { summary: 'Is it alive?', response: answers({ 200: Type.Object({ status: Type.Literal('live') }) }) } },
    async () => ({ status: 'live' as const }),
  );

  app.get(
    '/health/ready',
    {
      schema: {
        summary: 'Can it work?',
        response: answers({ 200: Type.Object({ status: Type.Literal('ready'), checks: Type.Array(CheckSchema) }) }),
      },
    },
    async () => {
      const checks = [...(await readiness())];
      const failing = checks.filter((check) => !check.ok);
      if (failing.length === 0) return { status: 'ready' as const, checks };
      throw new ProblemError('not_ready', failing.map((check) => check.detail).join(' '), {
        retryAfter: 2,
        members: { checks },
      });
    },
  );
}
