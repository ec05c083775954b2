import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sharedApi } from './running-api.ts';

const shared = sharedApi();

const PATHS = ['/v1/jobs', '/v1/jobs/job_x/cancel', '/v1/jobs/job_x/retry', '/v1/credits/hold', '/v1/credits/resume'];

/** Values that look like a job, with anything in the places of its parts. */
const nearJob = fc.record(
  {
    input: fc.oneof(
      fc.json().map((text) => JSON.parse(text) as unknown),
      fc.record(
        {
          prompt: fc.oneof(fc.string({ unit: 'binary' }), fc.anything()),
          steps: fc.oneof(fc.double(), fc.integer(), fc.constant('30')),
          seed: fc.oneof(fc.constant('random'), fc.maxSafeInteger(), fc.double()),
          width: fc.double(),
        },
        { requiredKeys: [] },
      ),
    ),
    model: fc.oneof(fc.string(), fc.constant('stable-diffusion-3.5-large-txt2img'), fc.integer()),
    metadata: fc.jsonValue({ maxDepth: 8 }),
    expires_in: fc.oneof(fc.double(), fc.integer(), fc.string()),
  },
  { requiredKeys: [] },
);
const body = fc.oneof(
  fc.json({ maxDepth: 6 }),
  nearJob.map(
    (value) => JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? 0 : each)) ?? 'null',
  ),
  fc.string({ unit: 'binary' }),
  fc.integer({ min: 1, max: 50_000 }).map((depth) => '['.repeat(depth) + ']'.repeat(depth)),
  fc.integer({ min: 1, max: 20_000 }).map((depth) => `{"input":${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}}`),
);

test('no body makes the server fail, and every error is a problem', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...PATHS), body, async (path, text) => {
      const answer = await shared().call('POST', path, {
        body: text,
        headers: { 'content-type': 'application/json' },
        signal: AbortSignal.timeout(5000),
      });
      expect(answer.status).toBeLessThan(500);
    }),
    { numRuns: 400 },
  );
});

test('what is accepted is read back as it was given', async () => {
  const prompt = fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }).filter((text) => /\S/.test(text));
  const metadata = fc.dictionary(
    fc.string({ unit: 'grapheme' }).filter((name) => name !== '__proto__'),
    fc.oneof(fc.string({ unit: 'grapheme' }), fc.integer(), fc.boolean(), fc.constant(null)),
  );
  await fc.assert(
    fc.asyncProperty(prompt, metadata, async (text, data) => {
      const { status, json } = await shared().post('/v1/jobs', { input: { prompt: text }, metadata: data });
      if (!text.isWellFormed()) return expect(status).toBe(400);
      expect(status).toBe(202);
      const read = await shared().get(`/v1/jobs/${json.id}`);
      expect(read.json.input.prompt).toBe(text);
      expect(read.json.metadata).toEqual({ ...data });
    }),
    { numRuns: 100 },
  );
});

test('no query makes the server fail', async () => {
  await fc.assert(
    fc.asyncProperty(fc.webQueryParameters(), async (query) => {
      expect((await shared().get(`/v1/jobs?${query}`)).status).toBeOneOf([200, 400]);
    }),
    { numRuns: 100 },
  );
});
