import { type RenderParameters, readParameters, SAMPLERS, SCHEDULERS } from '@renderyard/simulator/parameters';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyText } from './any-text.ts';
import { REQUIRED } from './simulate.ts';

/** What the check says: a status, or undefined when it takes the parameters. */
const statusOf = (more: Record<string, unknown>) => {
  const read = readParameters({ ...REQUIRED, prompt: 'x', ...more });
  return 'refusal' in read ? read.refusal.status : undefined;
};

const INTEGERS = [
  ['steps', 10, 70],
  ['width', 64, 2048],
  ['height', 64, 2048],
  ['batch_size', 1, 10],
  ['image_quality', 10, 100],
] as const;

describe.each(INTEGERS)('%s, an integer from %i to %i', (name, min, max) => {
  test('is taken at and between its ends', () => {
    fc.assert(fc.property(fc.integer({ min, max }), (value) => statusOf({ [name]: value }) === undefined));
    expect([min, max].map((value) => statusOf({ [name]: value }))).toEqual([undefined, undefined]);
  });

  test('is refused with 422 outside of them, and when it is no integer', () => {
    const wrong = fc.oneof(
      fc.integer({ max: min - 1 }),
      fc.integer({ min: max + 1 }),
      fc.double().filter((value) => !Number.isInteger(value)),
      fc.constantFrom(null, true, '', String(min), [min], {}),
    );
    fc.assert(fc.property(wrong, (value) => statusOf({ [name]: value }) === 422));
    expect([min - 1, max + 1, min + 0.5].map((value) => statusOf({ [name]: value }))).toEqual([422, 422, 422]);
  });
});

test('guidance_scale is any number from 1 to 15', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 1, max: 15, noNaN: true }),
      (value) => statusOf({ guidance_scale: value }) === undefined,
    ),
  );
  expect([0.99, 15.01, Number.NaN, '5'].map((value) => statusOf({ guidance_scale: value }))).toEqual([
    422, 422, 422, 422,
  ]);
});

test('a seed is -1 or a whole number that JSON keeps exactly', () => {
  fc.assert(
    fc.property(fc.integer({ min: -1, max: Number.MAX_SAFE_INTEGER }), (seed) => statusOf({ seed }) === undefined),
  );
  expect([-2, 0.5, 2 ** 53, 1e20, '1'].map((seed) => statusOf({ seed }))).toEqual([422, 422, 422, 422, 422]);
});

test.each([
  ['sampler', SAMPLERS],
  ['scheduler', SCHEDULERS],
  ['aspect_ratio', ['custom', '1:1', '16:9', '9:16', '4:3', '3:4', '21:9', '2:3']],
  ['image_format', ['jpeg', 'png', 'webp']],
] as const)('%s takes what is known, refuses other words with 406 and other forms with 422', (name, known) => {
  expect(known.filter((value) => statusOf({ [name]: value }) !== undefined)).toEqual([]);
  const unknown = fc
    .stringMatching(/^[a-z0-9_:]{1,40}$/)
    .filter((value) => !(known as readonly string[]).includes(value));
  fc.assert(fc.property(unknown, (value) => statusOf({ [name]: value }) === 406));
  const malformed = fc.oneof(
    fc.string().filter((value) => !/^[a-z0-9_:]{1,40}$/.test(value)),
    fc.constantFrom(null, 1, true, ['euler'], 'x'.repeat(41)),
  );
  fc.assert(fc.property(malformed, (value) => statusOf({ [name]: value }) === 422));
});

test('a wrong range is told before an unknown word', () => {
  expect(statusOf({ sampler: 'ddim', steps: 5 })).toBe(422);
});

test('any prompt that is not empty is taken as it is', () => {
  fc.assert(
    fc.property(anyText(500), (prompt) => {
      const read = readParameters({ ...REQUIRED, prompt });
      return 'parameters' in read && read.parameters.prompt === prompt;
    }),
  );
  expect(['', null, 5, ['x']].map((prompt) => statusOf({ prompt }))).toEqual([422, 422, 422, 422]);
});

test.each(['prompt', 'sampler', 'scheduler'])('without %s a call is refused', (name) => {
  const { [name]: _left, ...others }: Record<string, unknown> = { ...REQUIRED, prompt: 'x' };
  expect(readParameters(others)).toEqual({ refusal: { status: 422, message: `${name} is required.` } });
});

test('what is left out has the default of the upstream', () => {
  expect(readParameters({ ...REQUIRED, prompt: 'x' })).toEqual({
    parameters: {
      prompt: 'x',
      negative_prompt: 'low quality, blurry',
      steps: 30,
      guidance_scale: 5.5,
      seed: 98_552_302,
      sampler: 'euler',
      scheduler: 'sgm_uniform',
      width: 1024,
      height: 1024,
      aspect_ratio: 'custom',
      batch_size: 1,
      image_format: 'jpeg',
      image_quality: 95,
      base64: true,
    } satisfies RenderParameters,
  });
});

test('names that objects have by themselves are no parameters', () => {
  for (const name of ['__proto__', 'constructor', 'toString'])
    expect(readParameters(JSON.parse(`{"prompt":"x","sampler":"euler","scheduler":"simple","${name}":1}`))).toEqual({
      refusal: { status: 422, message: `${name} is not a parameter of this model.` },
    });
});
