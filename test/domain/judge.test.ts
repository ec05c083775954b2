import { HOLD_REASONS, holdReason } from '@renderyard/shared/credits/hold';
import { JOB_ERROR_CODES, type Job } from '@renderyard/shared/job/job';
import { judge, type RetryPolicy, unknownOutcome } from '@renderyard/worker/render/judge';
import type { AnswerFacts, NoImageOutcome, UnknownHow } from '@renderyard/worker/segmind/outcome';
import { describe, expect, it } from 'vitest';

const facts = (status: number, cost?: number): AnswerFacts => ({
  status,
  cost,
  remaining: undefined,
  requestId: undefined,
  seed: undefined,
  generationSeconds: undefined,
});

/** A job with so many calls behind it; the one that is judged comes on top. */
const job = (tries: number, uncertainTries = 0): Job => ({
  id: 'job_1',
  account: 'a',
  batch: undefined,
  row: undefined,
  run: 0,
  imageKey: 'jobs/job_1',
  status: 'processing',
  model: 'm',
  input: {},
  metadata: {},
  webhook: undefined,
  webhookEvents: undefined,
  output: [],
  error: undefined,
  attempts: tries + 3,
  tries,
  uncertain: uncertainTries + 2,
  uncertainTries,
  cost: 0,
  cancelRequested: false,
  call: 'call_1',
  ticket: 1,
  createdAt: 0,
  startedAt: 0,
  endedAt: undefined,
  expiresAt: undefined,
});
const POLICY: RetryPolicy = { attempts: 3, backoffMs: 100, uncertainRetries: 1, trialMs: 60_000, random: () => 0.5 };
/** With attempts left, and at the last attempt. */
const [EARLY, LAST] = [0, 2];

describe('judge', () => {
  it('fails a refused request at once, at no cost', () => {
    const outcome: NoImageOutcome = { kind: 'rejected', detail: 'why', facts: facts(422) };
    for (const tries of [EARLY, LAST]) {
      expect(judge(job(tries), outcome, POLICY)).toEqual({
        end: {
          status: 'failed',
          counted: true,
          settlement: { kind: 'released' },
          error: { code: 'upstream_rejected', detail: 'why' },
        },
        ending: { kind: 'failed', code: 'upstream_rejected' },
        log: 'info',
      });
    }
    expect(judge(job(EARLY), { ...outcome, facts: facts(405) }, POLICY).log).toBe('error');
  });

  it('fails an image that is too large at once, and counts what it cost', () => {
    for (const cost of [undefined, 5]) {
      expect(judge(job(EARLY), { kind: 'too_large', facts: facts(200, cost) }, POLICY)).toMatchObject({
        end: { status: 'failed', counted: true, settlement: { kind: 'spent', cost }, error: { code: 'bad_image' } },
        ending: { kind: 'failed', code: 'bad_image' },
      });
    }
  });

  it.each([
    ['a 500', { kind: 'unavailable', maybeBilled: false, facts: facts(500) }, { kind: 'released' }, 'upstream_failed'],
    [
      'a gateway',
      { kind: 'unavailable', maybeBilled: true, facts: facts(503) },
      { kind: 'uncertain', how: 'status_503' },
      'upstream_failed',
    ],
    [
      'no connection',
      { kind: 'unreached', cause: 'ECONNREFUSED', timeout: false },
      { kind: 'released' },
      'upstream_failed',
    ],
    [
      'no connection in time',
      { kind: 'unreached', cause: 'X', timeout: true },
      { kind: 'released' },
      'upstream_timeout',
    ],
  ] as const)('tries again after %s while attempts are left, then fails', (_, outcome, settlement, code) => {
    const more = {
      ...(settlement.kind === 'uncertain' ? { uncertain: 'shown', incident: 'light' } : {}),
      // That nobody is there is everybody's matter; a gateway and a 500 are an answer.
      ...(outcome.kind === 'unreached' ? { incident: true } : {}),
    };
    expect(judge(job(EARLY), outcome, POLICY)).toEqual({
      end: { status: 'queued', counted: true, settlement, ...more },
      ending: { kind: 'retry', afterMs: 50 },
      log: 'info',
    });
    expect(judge(job(1), outcome, POLICY).ending).toEqual({ kind: 'retry', afterMs: 100 });
    expect(judge(job(LAST), outcome, POLICY)).toMatchObject({
      end: { status: 'failed', counted: true, settlement, error: { code }, ...more },
      ending: { kind: 'failed', code },
    });
    expect(judge(job(LAST), outcome, POLICY).end.error?.detail).toContain('3 times');
  });

  const HOWS: readonly UnknownHow[] = ['timeout', 'reset', 'cut', 'bad_image', 'shutdown'];
  it.each(HOWS)('calls again after an outcome that nobody can know (%s) as often as it may, then fails', (how) => {
    const outcome: NoImageOutcome = { kind: 'unknown', how, cause: 'x', facts: undefined };
    const settlement = { kind: 'uncertain', how };
    const incident = how !== 'shutdown';
    expect(judge(job(EARLY), outcome, POLICY)).toEqual({
      end: { status: 'queued', counted: true, uncertain: 'limited', incident, settlement },
      ending: { kind: 'uncertain', afterMs: 50 },
      log: 'warn',
    });
    const code = how === 'bad_image' ? 'bad_image' : 'outcome_uncertain';
    const ended = [
      judge(job(EARLY, 1), outcome, POLICY),
      judge(job(LAST), outcome, POLICY),
      judge(job(LAST, 1), outcome, POLICY),
      judge(job(EARLY), outcome, { ...POLICY, uncertainRetries: 0 }),
    ];
    for (const judgement of ended)
      expect(judgement).toMatchObject({
        end: { status: 'failed', counted: true, uncertain: 'limited', incident, settlement, error: { code } },
        ending: { kind: 'failed', code },
      });
    expect(judge(job(1, 1), outcome, { ...POLICY, uncertainRetries: 2 }).ending.kind).toBe('uncertain');
  });

  it('counts a call lost with its worker as unknown, and as no incident of its own', () => {
    const settlement = { kind: 'uncertain', how: 'lost_worker' } as const;
    expect(unknownOutcome(job(0), 1, 'lost_worker', settlement, POLICY)).toMatchObject({
      end: { status: 'queued', incident: false, uncertain: 'limited', settlement },
    });
    expect(unknownOutcome(job(0, 1), 1, 'lost_worker', settlement, POLICY)).toMatchObject({
      end: { status: 'failed', error: { code: 'outcome_uncertain' } },
    });
  });

  it('parks the job of a model that the upstream does not know, and holds the model', () => {
    for (const tries of [EARLY, LAST])
      expect(judge(job(tries), { kind: 'no_such_model', facts: facts(404) }, POLICY)).toMatchObject({
        end: { status: 'parked', counted: false, settlement: { kind: 'released' } },
        ending: { kind: 'void' },
        hold: { name: 'model:m', trialMs: 60_000, detail: expect.stringContaining('404') },
      });
  });

  it.each([
    ['a 403 though the key is good', { kind: 'unauthorized', facts: facts(403) }, 'model:m'],
    ['an unclear 406', { kind: 'no_credits', clear: false, detail: '', facts: facts(406) }, 'credits'],
  ] as const)('leaves it to what others met whether %s is this job’s own matter', (_, outcome, hold) => {
    const early = judge(job(EARLY), outcome, POLICY);
    expect(early).toMatchObject({
      end: { status: 'queued', settlement: { kind: 'released' }, refusal: { hold } },
      ending: { kind: 'deferred', reason: 'refused' },
    });
    expect(early.hold).toBeUndefined();
    expect(early.ending).toMatchObject({ afterMs: 1000 });
    expect(judge(job(LAST), outcome, POLICY)).toMatchObject({
      end: { status: 'failed', refusal: { hold }, error: { code: 'upstream_rejected' } },
      ending: { kind: 'failed' },
    });
  });

  it('holds everything for credits when that is what the answer says', () => {
    for (const tries of [EARLY, LAST])
      expect(
        judge(job(tries), { kind: 'no_credits', clear: true, detail: 'add funds', facts: facts(406) }, POLICY),
      ).toMatchObject({
        end: { status: 'queued', counted: false, settlement: { kind: 'released' } },
        ending: { kind: 'deferred', reason: 'hold' },
        hold: { name: 'credits', trialMs: 60_000, detail: expect.stringContaining('add funds') },
      });
  });

  it.each([
    [undefined, 5000],
    [-1e12, 1000],
    [0, 1000],
    [3000, 3000],
    [1e12, 10_000],
  ])('slows everybody down for a 429 that asks for %s ms', (resetMs, forMs) => {
    for (const tries of [EARLY, LAST])
      expect(judge(job(tries), { kind: 'rate_limited', resetMs, facts: facts(429) }, POLICY)).toMatchObject({
        end: { status: 'queued', counted: false, settlement: { kind: 'released' } },
        ending: { kind: 'deferred', reason: 'rate', afterMs: forMs },
        hold: { name: 'rate', forMs },
      });
  });

  it('makes one call where one attempt is allowed', () => {
    const once = { ...POLICY, attempts: 1 };
    expect(judge(job(0), { kind: 'unavailable', maybeBilled: false, facts: facts(500) }, once).ending.kind).toBe(
      'failed',
    );
    expect(judge(job(0), { kind: 'unknown', how: 'cut', cause: 'x', facts: undefined }, once).ending.kind).toBe(
      'failed',
    );
  });

  it('ends and holds only in words of the closed lists, and tells a failure in a full sentence', () => {
    const outcomes: readonly NoImageOutcome[] = [
      { kind: 'too_large', facts: facts(200) },
      { kind: 'rejected', detail: 'Why.', facts: facts(400) },
      { kind: 'unavailable', maybeBilled: true, facts: facts(502) },
      { kind: 'unreached', cause: 'X', timeout: true },
      { kind: 'unknown', how: 'cut', cause: 'x', facts: undefined },
      { kind: 'no_such_model', facts: facts(404) },
      { kind: 'unauthorized', facts: facts(401) },
      { kind: 'no_credits', clear: true, detail: '', facts: facts(402) },
      { kind: 'rate_limited', resetMs: undefined, facts: facts(429) },
    ];
    for (const outcome of outcomes) {
      const { end, ending, hold } = judge(job(LAST, 1), outcome, POLICY);
      if (ending.kind === 'failed') {
        expect(JOB_ERROR_CODES).toContain(ending.code);
        expect(end).toMatchObject({
          status: 'failed',
          error: { code: ending.code, detail: expect.stringMatching(/^[A-Z].*\.$/s) },
        });
      }
      if (hold !== undefined) {
        expect(HOLD_REASONS).toContain(holdReason(hold.name));
        expect(hold.detail).toMatch(/^[A-Z].*\.$/s);
      }
    }
  });
});
