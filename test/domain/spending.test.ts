import { readSpendRange } from '@renderyard/api/credits/spend-range';
import { reportSpend } from '@renderyard/api/credits/spend-report';
import { firstHour, runwaySeconds, spendingOf } from '@renderyard/api/credits/spending';
import { expect, test } from 'vitest';

const HOUR = 3_600_000;
const entry = (hour: number, credits: number, known: { account?: string; batch?: string; images?: number } = {}) => ({
  ...{ hour, credits, account: known.account ?? 'ann', batch: known.batch, images: known.images ?? 1 },
});

test('the last hour is this hour and of the one before as much as is missing', () => {
  const day = 20_000 * 24;
  const entries = [entry(day, 500), entry(day + 9, 400), entry(day + 10, 70), entry(day + 11, 1)];
  const at = (minutes: number) => (day + 10) * HOUR + minutes * 60_000;
  expect(spendingOf(entries, at(0))).toEqual({ lastHour: 470, hour: 70, day: 970 });
  expect(spendingOf(entries, at(15))).toEqual({ lastHour: 370, hour: 70, day: 970 });
  expect(spendingOf(entries, at(60) - 1).lastHour).toBe(70);
  expect(spendingOf([], at(15))).toEqual({ lastHour: 0, hour: 0, day: 0 });
});

test('in the first hour of a day the hour before belongs to the day before', () => {
  const day = 20_000 * 24;
  const entries = [entry(day - 1, 40), entry(day, 10)];
  expect(firstHour(day * HOUR + 1)).toBe(day - 1);
  expect(firstHour((day + 5) * HOUR)).toBe(day);
  expect(spendingOf(entries, day * HOUR + HOUR / 2)).toEqual({ lastHour: 30, hour: 10, day: 10 });
});

test.each([
  [3600, 60, 216_000],
  [1, 3600, 1],
  [-5, 60, 0],
  [0, 60, 0],
  [undefined, 60, undefined],
  [100, 0, undefined],
  // Corrections can make an hour negative.
  [100, -5, undefined],
])('with %s available and %i in the last hour the rest lasts for %s seconds', (available, lastHour, seconds) => {
  expect(runwaySeconds(available, lastHour)).toBe(seconds);
});

test('of other accounts the spending is shown, and not their batches', () => {
  const entries = [
    entry(1, 10_000_000_000, { batch: 'bat_a' }),
    entry(2, 2_000_000_000),
    entry(2, 4_000_000_000, { account: 'bob', batch: 'bat_b', images: 3 }),
    entry(2, 1_000_000_000, { account: 'bob', batch: 'bat_c' }),
    entry(3, 1_000_000_000, { account: 'bob' }),
  ];
  const report = (by: 'hour' | 'batch' | 'key', mayShow: (account: string) => boolean) =>
    reportSpend(entries, { by, hours: [1, 4], mayShow });
  expect(report('batch', (account) => account === 'ann')).toEqual({
    ...{ object: 'spend', by: 'batch', from: '1970-01-01T01:00:00.000Z', to: '1970-01-01T04:00:00.000Z' },
    rows: [
      { key: 'ann', batch_id: 'bat_a', credits: 10, images: 1 },
      { key: 'bob', batch_id: null, credits: 6, images: 5 },
      { key: 'ann', batch_id: null, credits: 2, images: 1 },
    ],
    total: { credits: 18, images: 7 },
  });
  expect(report('batch', () => true).rows.map(({ batch_id }) => batch_id)).toEqual([
    'bat_a',
    'bat_b',
    null,
    'bat_c',
    null,
  ]);
  expect(report('key', () => false).rows).toEqual([
    { key: 'ann', credits: 12, images: 2 },
    { key: 'bob', credits: 6, images: 5 },
  ]);
  expect(report('hour', () => false).rows).toEqual([
    { hour: '1970-01-01T01:00:00.000Z', credits: 10, images: 1 },
    { hour: '1970-01-01T02:00:00.000Z', credits: 7, images: 5 },
    { hour: '1970-01-01T03:00:00.000Z', credits: 1, images: 1 },
  ]);
});

test('a range is whole hours, by default the last day', () => {
  const now = Date.parse('2026-03-10T12:30:00Z');
  const hour = (text: string) => Date.parse(text) / HOUR;
  const range = (query: { from?: string; to?: string }) => readSpendRange(query, now);
  expect(range({})).toEqual([hour('2026-03-09T12:00:00Z'), hour('2026-03-10T13:00:00Z')]);
  const whole = { from: '2026-03-01T00:00:00Z', to: '2026-03-02T00:00:00z' };
  expect(range(whole)).toEqual([hour('2026-03-01T00:00:00Z'), hour('2026-03-02T00:00:00Z')]);
  expect(range({ from: '2026-03-10T02:00:00+01:00' })[0]).toBe(hour('2026-03-10T01:00:00Z'));
  expect(range({ from: '2026-02-03T12:30:00Z' })[0]).toBe(hour('2026-02-03T12:00:00Z'));
});

test.each([
  [{ from: '2026-02-03T12:29:59Z' }, '?from', /^from must be 35 days before to at most/],
  [{ from: '2026-03-10T12:30:00Z' }, '?from', /^from must be before to/],
  [{ from: '2026-03-11T00:00:00Z', to: '2026-03-10T00:00:00Z' }, '?from', /^from must be before to/],
  [{ from: '2026-02-30T00:00:00Z' }, '?from', /^from must be a time in RFC 3339 of a day that there is/],
  [{ to: '2025-02-29T00:00:00Z' }, '?to', /^to must be a time in RFC 3339 of a day that there is/],
])('the range %j is refused', (query, pointer, detail) => {
  const refused = expect.objectContaining({ pointer, detail: expect.stringMatching(detail) });
  expect(() => readSpendRange(query, Date.parse('2026-03-10T12:30:00Z'))).toThrow(
    expect.objectContaining({ code: 'invalid_request', options: { errors: [refused] } }),
  );
});
