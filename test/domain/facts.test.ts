import { type AnswerHeaders, rateLimitReset, readFacts } from '@renderyard/worker/segmind/facts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const NOTHING = {
  cost: undefined,
  remaining: undefined,
  requestId: undefined,
  seed: undefined,
  generationSeconds: undefined,
};
const facts = (headers: AnswerHeaders) => readFacts(200, headers);
const reset = (value: string | readonly string[] | undefined, now: number) =>
  rateLimitReset({ 'x-rate-limit-reset-at-utc': value }, now);

describe('readFacts', () => {
  it('reads what is told', () => {
    expect(
      readFacts(200, {
        'x-cost': '0.0138',
        'x-remaining-credits': '12.5',
        'x-request-id': 'abc-123',
        'x-seed-value': '98552302',
        'x-generation-time': '17.53',
      }),
    ).toEqual({
      status: 200,
      cost: 13_800_000,
      remaining: 12_500_000_000,
      requestId: 'abc-123',
      seed: 98_552_302,
      generationSeconds: 17.53,
    });
  });

  it('leaves out what is missing', () => {
    expect(readFacts(503, {})).toEqual({ status: 503, ...NOTHING });
  });

  it('believes a doubled header only if both say the same', () => {
    expect(facts({ 'x-cost': ['0.1', '0.1'], 'x-remaining-credits': ['5', '6'], 'x-request-id': [] })).toMatchObject({
      ...NOTHING,
      cost: 1e8,
    });
    expect(facts({ 'x-cost': '0.1, 0.1' })).toMatchObject(NOTHING);
  });

  it('rounds a cost up and a balance down, and takes no cost below nothing', () => {
    expect(facts({ 'x-cost': '0.0000000001', 'x-remaining-credits': '0.0000000019' })).toMatchObject({
      cost: 1,
      remaining: 1,
    });
    expect(facts({ 'x-cost': '-0.01', 'x-remaining-credits': '-0.5' })).toMatchObject({
      cost: undefined,
      remaining: -5e8,
    });
  });

  it.each(['', ' ', 'NaN', 'Infinity', 'null', '1,5', '$1', '1e999', '١', '0x1', '1000000', '1 2'])(
    'leaves out garbage such as %j',
    (value) => {
      const all = facts({
        'x-cost': value,
        'x-remaining-credits': value,
        'x-seed-value': value,
        'x-generation-time': value,
      });
      expect(all).toMatchObject({ cost: undefined, remaining: undefined });
      expect(all.seed === undefined || value === '1000000').toBe(true);
    },
  );

  it('takes no request id that could break a line or a header', () => {
    for (const id of ['a b', 'a\nb', '', 'ü', 'x'.repeat(129)])
      expect(facts({ 'x-request-id': id }).requestId).toBeUndefined();
  });

  it('gives numbers that can be counted with, or nothing, whatever comes', () => {
    const value = fc.oneof(fc.string(), fc.double().map(String), fc.array(fc.string(), { maxLength: 2 }));
    const names = ['x-cost', 'x-remaining-credits', 'x-seed-value', 'x-generation-time', 'x-request-id'];
    fc.assert(
      fc.property(fc.tuple(value, value, value, value, value), (values) => {
        const read = facts(Object.fromEntries(names.map((name, i) => [name, values[i]])));
        for (const number of [read.cost, read.remaining, read.seed])
          expect(number === undefined || Number.isSafeInteger(number)).toBe(true);
        expect(read.generationSeconds === undefined || Number.isFinite(read.generationSeconds)).toBe(true);
        expect(read.cost ?? 0).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 500 },
    );
  });
});

describe('rateLimitReset', () => {
  const time = Date.UTC(2026, 7, 1, 10, 0, 30);
  const now = time - 30_000;

  it.each([
    '2026-08-01T10:00:30Z',
    '2026-08-01T10:00:30.000Z',
    '2026-08-01T10:00:30',
    '2026-08-01 10:00:30',
    '2026-08-01 10:00:30 UTC',
    '2026-08-01T10:00:30+00:00',
    '2026-08-01T10:00:30.000000+00:00',
    '2026-08-01T12:00:30+02:00',
    '2026-08-01T05:00:30-0500',
    'Sat, 01 Aug 2026 10:00:30 GMT',
    '1785578430',
    '1785578430.0',
    ' 2026-08-01T10:00:30Z ',
  ])('reads %j', (text) => {
    expect(reset(text, now)).toBe(30_000);
    expect(reset([text, text], now)).toBe(30_000);
  });

  it('does not clamp: that is for the caller to do', () => {
    expect(reset('2026-08-01T09:00:00Z', now)).toBe(-3_600_000);
    expect(reset('2999-01-01T00:00:00Z', now)).toBeGreaterThan(1e12);
  });

  it.each([
    undefined,
    '',
    ' ',
    '30',
    '5',
    '1',
    'soon 5',
    'in 20 seconds',
    'NaN',
    'null',
    '99999999',
    '2026-13-01T10:00:00Z',
    'tomorrow',
  ])('is undefined for %j', (text) => {
    expect(reset(text, now)).toBeUndefined();
  });

  it('is undefined for two that differ', () => {
    expect(reset(['2026-08-01T10:00:30Z', '2026-08-01T10:00:31Z'], now)).toBeUndefined();
  });

  it('is a number or undefined, whatever comes', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.date().map(String), fc.double().map(String)), (text) => {
        const ms = reset(text, now);
        expect(ms === undefined || Number.isFinite(ms)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
