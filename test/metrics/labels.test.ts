import { createApiMetrics } from '@renderyard/api/metrics/api-metrics';
import { JOB_STATUSES } from '@renderyard/shared/job/job';
import { createMetrics } from '@renderyard/shared/metrics/metrics';
import { DEFAULT_MODEL } from '@renderyard/shared/model/model';
import { createWorkerMetrics } from '@renderyard/worker/metrics/worker-metrics';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseExposition } from './exposition.ts';

/** What comes from outside may be any text, and what JavaScript itself knows by these names. */
const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '__proto__',
    'constructor',
    'toString',
    '"} 1\nrenderyard_evil 1',
    '\\',
    '',
    'other',
    'x'.repeat(100_000),
  ),
);
const seconds = fc.double({ min: 0, max: 1e6, noNaN: true });

describe('labels', () => {
  test('of a worker stay bounded, whatever models, outcomes and statuses it meets', async () => {
    const metrics = createMetrics({ service: 'worker' });
    const worker = createWorkerMetrics(metrics, { tickets: () => 3 });
    const before = (await seriesOf(metrics)).size;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(hostile, hostile, seconds)), async (all) => {
        for (const [one, other, took] of all) {
          worker.callEnded({ model: one, outcome: other, seconds: took });
          worker.callEnded({ model: DEFAULT_MODEL, outcome: other, seconds: took });
          worker.jobEnded({ status: one });
          worker.attemptEnded({ outcome: one, seconds: took, delaySeconds: took });
        }
      }),
      { numRuns: 50 },
    );
    const after = parseExposition((await metrics.read()).body);
    expect(after.valuesOf('renderyard_calls_total', 'model')).toEqual(new Set([DEFAULT_MODEL, 'other']));
    expect([...after.valuesOf('renderyard_jobs_ended_total', 'status')].sort()).toEqual(
      ['other', ...JOB_STATUSES.filter((status) => status !== 'queued' && status !== 'processing')].sort(),
    );
    expect(after.valuesOf('renderyard_webhook_attempts_total', 'outcome').has('other')).toBe(true);
    // The two models and the one other outcome, each with a histogram.
    expect(after.series.size).toBeLessThan(before + 100);
    expect(after.sum('renderyard_worker_tickets')).toBe(3);
  });

  test('of the API stay bounded, whatever methods, routes and statuses it meets', async () => {
    const metrics = createMetrics({ service: 'api' });
    const api = createApiMetrics(metrics);
    api.addRoute('/v1/jobs/:id');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(hostile, hostile, fc.integer(), seconds)), async (all) => {
        for (const [method, route, status, took] of all) {
          api.requestEnded({ method, route, status, seconds: took });
          api.requestEnded({ method: 'GET', route: '/v1/jobs/:id', status: 200, seconds: took });
        }
      }),
      { numRuns: 50 },
    );
    const { valuesOf, series } = parseExposition((await metrics.read()).body);
    expect([...valuesOf('renderyard_http_requests_total', 'route')].sort()).toEqual(['/v1/jobs/:id', 'other']);
    expect([...valuesOf('renderyard_http_requests_total', 'method')].sort()).toEqual(['GET', 'other']);
    expect(series.size).toBeLessThan(100);
  });

  test('that are known are told from the start, so that the first step of a counter is seen', async () => {
    const metrics = createMetrics({ service: 'worker' });
    createWorkerMetrics(metrics, { tickets: () => 0 });
    const { value } = parseExposition((await metrics.read()).body);
    expect(value(`renderyard_calls_total{model="${DEFAULT_MODEL}",outcome="unknown"}`)).toBe(0);
    expect(value('renderyard_uncertain_calls_total')).toBe(0);
    expect(value('renderyard_jobs_ended_total{status="failed"}')).toBe(0);
  });
});

async function seriesOf(metrics: ReturnType<typeof createMetrics>) {
  return parseExposition((await metrics.read()).body).series;
}
