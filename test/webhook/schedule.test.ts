import { nextWait, verdictOf } from '@renderyard/worker/webhook/schedule';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const DAY_MS = 86_400_000;
const schedules = fc.array(fc.integer({ min: 0, max: 604_800 }), { minLength: 1, maxLength: 20 });
const patience = fc.option(fc.double({ min: 0, max: 1e13, noNaN: true }), { nil: undefined });

describe('the wait before the next attempt', () => {
  test('is that of the schedule and up to a tenth more, or what the receiver asked for if that is longer, up to a day', () => {
    fc.assert(
      fc.property(schedules, fc.nat(25), patience, fc.double({ min: 0, max: 1, noNaN: true }), (s, tries, asked, r) => {
        const wait = nextWait(s, tries, asked, () => r);
        const seconds = s[tries];
        if (seconds === undefined) {
          expect(wait).toBeUndefined();
          return;
        }
        const most = Math.max(seconds * 1100, Math.min(asked ?? 0, DAY_MS));
        expect(wait).toBeGreaterThanOrEqual(Math.max(seconds * 1000, Math.floor(Math.min(asked ?? 0, DAY_MS))));
        expect(wait).toBeLessThanOrEqual(Math.ceil(most));
        expect(Number.isInteger(wait)).toBe(true);
      }),
    );
  });

  test('lets there be as many attempts as the schedule has waits, whatever the receiver asks for', () => {
    fc.assert(
      fc.property(schedules, patience, (s, asked) => {
        let tries = 1;
        while (nextWait(s, tries, asked) !== undefined) tries++;
        expect(tries).toBe(s.length);
      }),
    );
  });
});

describe('an answer', () => {
  const statuses = fc.integer({ min: 100, max: 599 });
  test('of 2xx is success, 410 says that nobody is there, and all else may go better later', () => {
    fc.assert(
      fc.property(statuses, (status) => {
        expect(verdictOf({ status })).toBe(status === 410 ? 'gone' : Math.floor(status / 100) === 2 ? 'ok' : 'failed');
      }),
    );
  });

  test('that broke off in an error is none, whatever its status', () => {
    fc.assert(
      fc.property(fc.option(statuses, { nil: undefined }), (status) => {
        const known = status === undefined ? {} : { status };
        expect(verdictOf({ ...known, error: 'timeout' })).toBe('failed');
      }),
    );
    expect(verdictOf({})).toBe('failed');
  });
});
