import { classifyStatus, upstreamMessage } from '@renderyard/worker/segmind/classify';
import type { AnswerFacts, Outcome } from '@renderyard/worker/segmind/outcome';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const factsOf = (status: number): AnswerFacts => ({
  status,
  cost: undefined,
  remaining: undefined,
  requestId: undefined,
  seed: undefined,
  generationSeconds: undefined,
});
const classify = (status: number, message = '', resetMs?: number) => classifyStatus(factsOf(status), message, resetMs);

/** What docs/endings.md says of each status; 406 and 429 have tests of their own. */
function expected(status: number): Partial<Outcome> {
  if (status === 401 || status === 403) return { kind: 'unauthorized' };
  if (status === 402) return { kind: 'no_credits', clear: true };
  if (status === 404 || status === 410) return { kind: 'no_such_model' };
  if (status === 408 || status === 425 || status === 500) return { kind: 'unavailable', maybeBilled: false };
  if (status >= 501) return { kind: 'unavailable', maybeBilled: true };
  if (status >= 400) return { kind: 'rejected' };
  if (status >= 300) return { kind: 'no_such_model' };
  return { kind: 'unknown', how: 'bad_image' };
}

describe('classifyStatus', () => {
  it('has one meaning for every status from 100 to 599', () => {
    for (let status = 100; status <= 599; status++) {
      if (status === 406 || status === 429) continue;
      expect(classify(status, 'out of order'), String(status)).toMatchObject({
        ...expected(status),
        facts: { status },
      });
    }
  });

  it('does not let a message change the meaning of any status but 406', () => {
    for (let status = 201; status <= 599; status++) {
      if (status === 406) continue;
      const kinds = ['', 'insufficient credits', 'invalid parameter', 'content-type'].map(
        (text) => classify(status, text).kind,
      );
      expect(new Set(kinds).size, String(status)).toBe(1);
    }
  });

  it('gives a client the upstream’s message where the request was wrong, and ours where we were', () => {
    expect(classify(400, 'steps must be below 70')).toMatchObject({
      detail: expect.stringContaining('steps must be below 70'),
    });
    expect(classify(422)).toMatchObject({ detail: 'The upstream refused the request (422)' });
    expect(classify(405, 'Method Not Allowed')).toMatchObject({
      detail: expect.stringContaining('a defect of Renderyard'),
    });
  });

  it('hands a 429 its wait on as it is, however odd', () => {
    for (const resetMs of [undefined, -5, 0, 1e12])
      expect(classify(429, 'slow down', resetMs)).toMatchObject({ kind: 'rate_limited', resetMs });
  });
});

describe('a 406', () => {
  it.each([
    'Not enough credits',
    'Insufficient credits to run this model',
    'You have insufficient balance.',
    'Please add funds to your account',
    'Payment required: your billing is not set up',
    'Team spend limit reached',
    'Spending limit of your organization is exceeded',
    'usage cap reached',
    'Organisation limit hit',
    'team budget_limit exceeded',
  ])('%j is about credits', (message) => {
    expect(classify(406, message)).toMatchObject({ kind: 'no_credits', clear: true, detail: message });
  });

  it.each([
    'Invalid value for parameter sampler',
    'sampler must be one of euler, heun',
    'Unsupported scheduler',
    'width is out of range',
    'aspect_ratio: not a valid choice',
    'steps should be less than 70',
  ])('%j is about a parameter and fails the row', (message) => {
    expect(classify(406, message)).toMatchObject({ kind: 'rejected', detail: expect.stringContaining(message) });
  });

  it.each(['Unsupported content type', 'Content-Type must be application/json', 'media type not accepted'])(
    '%j is our own defect, and said to be',
    (message) => {
      expect(classify(406, message)).toMatchObject({
        kind: 'rejected',
        detail: expect.stringContaining('a defect of Renderyard'),
      });
    },
  );

  it.each(['', 'Error', 'Forbidden for you', 'null', '???'])('%j is unclear and counts as credits', (message) => {
    expect(classify(406, message)).toMatchObject({ kind: 'no_credits', clear: false });
  });

  it('never is anything but credits or a refused row, whatever it says', () => {
    fc.assert(
      fc.property(fc.string(), (message) => {
        expect(['no_credits', 'rejected']).toContain(classify(406, message).kind);
      }),
    );
  });
});

describe('upstreamMessage', () => {
  it.each([
    ['{"error":"Not enough credits"}', 'Not enough credits'],
    ['{"message":"m"}', 'm'],
    ['{"detail":"d","message":"m"}', 'm'],
    ['{"error":"","detail":"d"}', 'd'],
    ['{"error":{"code":1},"message":"m"}', 'm'],
    ['"plain"', 'plain'],
    ['{"error":"two\\nlines\\tand\\u0000more "}', 'two lines and more'],
  ])('of %s is %j', (body, message) => {
    expect(upstreamMessage(body)).toBe(message);
  });

  it.each([
    '',
    'not JSON',
    '<html><body>405</body></html>',
    '{"error":"<!DOCTYPE html><p>x"}',
    '{"error":"</div>"}',
    '{"error":"see <a href=x>"}',
    '{"error":["a"]}',
    '{"error":5}',
    '[]',
    'null',
    '5',
    '{"error":"cut o',
  ])('of %j is empty', (body) => {
    expect(upstreamMessage(body)).toBe('');
  });

  it('holds no key, whatever the upstream repeats', () => {
    const body = JSON.stringify({ error: 'Invalid key SG_0123456789abcdef for redis://:hunter2hunter2@host' });
    expect(upstreamMessage(body)).not.toMatch(/0123456789abcdef|hunter2hunter2/);
  });

  it('is at most 300 characters, without control characters, and can be encoded', () => {
    const pieces = fc.constantFrom(
      'a',
      ' ',
      '\u0000',
      '\n',
      '\u0085',
      '\u007f',
      'é',
      '🦊',
      '\ud83e',
      '\udd8a',
      '<',
      '"',
      '\\',
    );
    const text = fc.array(pieces, { maxLength: 30 }).map((list) => list.join(''));
    fc.assert(
      fc.property(text, (text) => {
        for (const body of [
          JSON.stringify({ error: text }),
          text,
          JSON.stringify({ error: `${'a'.repeat(290)}${text}` }),
        ]) {
          const message = upstreamMessage(body);
          expect(message.length).toBeLessThanOrEqual(300);
          expect(message).not.toMatch(/\p{Cc}/u);
          expect(message.isWellFormed()).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });
});
