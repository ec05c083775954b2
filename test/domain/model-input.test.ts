import { checkInput } from '@renderyard/shared/model/input';
import { DEFAULT_MODEL, findModel } from '@renderyard/shared/model/model';
import type { InputProblem } from '@renderyard/shared/model/parameter';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const found = findModel(DEFAULT_MODEL);
if (found === undefined) throw new Error('the default model is not described');
const model = found;
const SEED = 4711;
const check = (given: Record<string, unknown>) => checkInput(model, given, () => SEED);
const accepted = (given: Record<string, unknown>) => {
  const checked = check(given);
  if (!checked.ok) throw new Error(JSON.stringify(checked.problems));
  return checked.input;
};
const problems = (given: Record<string, unknown>): readonly InputProblem[] => {
  const checked = check(given);
  return checked.ok ? [] : checked.problems;
};

/** As Segmind's model page gives them. */
const DEFAULTS = {
  negative_prompt: 'low quality, blurry',
  steps: 30,
  guidance_scale: 5.5,
  seed: SEED,
  sampler: 'euler',
  scheduler: 'sgm_uniform',
  width: 1024,
  height: 1024,
  aspect_ratio: 'custom',
  batch_size: 1,
  image_format: 'jpeg',
  image_quality: 95,
  base64: false,
};
const WHOLE: readonly (readonly [name: string, least: number, most: number])[] = [
  ['steps', 10, 70],
  ['width', 64, 2048],
  ['height', 64, 2048],
  ['image_quality', 10, 100],
  ['batch_size', 1, 1],
  ['seed', 0, 4_294_967_295],
];
const OPEN = ['sampler', 'scheduler', 'aspect_ratio', 'image_format'];
const wellFormed = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }).filter((text) => text.isWellFormed());

describe('checkInput', () => {
  it('fills in every default and draws the seed', () => {
    expect(accepted({ prompt: 'a fox' })).toEqual({ prompt: 'a fox', ...DEFAULTS });
  });

  it('gives the body as it is sent: what was given, byte for byte, and defaults for the rest', () => {
    const some = fc.record(
      {
        prompt: wellFormed.filter((text) => /\S/.test(text)),
        negative_prompt: wellFormed,
        steps: fc.integer({ min: 10, max: 70 }),
        guidance_scale: fc.double({ min: 1, max: 15, noNaN: true }),
        seed: fc.integer({ min: 0, max: 4_294_967_295 }),
        width: fc.integer({ min: 64, max: 2048 }),
        sampler: fc.stringMatching(/^[a-z0-9_:]{1,40}$/),
        aspect_ratio: fc.constantFrom('custom', '16:9', '1:1'),
        base64: fc.constant(false),
      },
      { requiredKeys: ['prompt'] },
    );
    fc.assert(
      fc.property(some, (given) => {
        const input = accepted(given);
        expect(input).toEqual({ ...DEFAULTS, ...given });
        expect(JSON.parse(JSON.stringify(input))).toEqual(input);
      }),
    );
  });

  it('changes nothing when it is given its own result', () => {
    const once = accepted({ prompt: 'a', seed: 'random', steps: 12 });
    expect(checkInput(model, once, () => 1)).toEqual({ ok: true, input: once });
  });

  it.each(WHOLE)('takes any whole %s from %i to %i and names it where it is outside', (name, least, most) => {
    const near = fc.integer({ min: least - 50, max: most + 50 });
    fc.assert(
      fc.property(fc.oneof(near, fc.constantFrom(least, most, least - 1, most + 1)), (value) => {
        fc.pre(!(name === 'seed' && value === -1));
        if (value >= least && value <= most) expect(accepted({ prompt: 'a', [name]: value })[name]).toBe(value);
        else
          expect(problems({ prompt: 'a', [name]: value })).toMatchObject([{ parameter: name, code: 'out_of_range' }]);
      }),
    );
    for (const value of [least + 0.5, String(least), true, [least], {}, Number.NaN, Number.POSITIVE_INFINITY])
      expect(problems({ prompt: 'a', [name]: value })).toMatchObject([{ parameter: name }]);
  });

  it('takes any guidance_scale from 1 to 15 and names it where it is outside', () => {
    fc.assert(
      fc.property(fc.double({ min: -20, max: 40, noNaN: true }), (value) => {
        const right = value >= 1 && value <= 15;
        expect(problems({ prompt: 'a', guidance_scale: value }).map(({ parameter }) => parameter)).toEqual(
          right ? [] : ['guidance_scale'],
        );
        if (right) expect(accepted({ prompt: 'a', guidance_scale: value }).guidance_scale).toBe(value);
      }),
    );
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, '5', null === undefined])
      expect(problems({ prompt: 'a', guidance_scale: value })).toMatchObject([{ parameter: 'guidance_scale' }]);
  });

  it.each(OPEN)('checks %s for its shape only', (name) => {
    fc.assert(
      fc.property(fc.oneof(fc.stringMatching(/^[a-z0-9_:]{1,42}$/), wellFormed), (value) => {
        const right = /^[a-z0-9_:]{1,40}$/.test(value);
        if (right) expect(accepted({ prompt: 'a', [name]: value })[name]).toBe(value);
        else
          expect(problems({ prompt: 'a', [name]: value })).toMatchObject([{ parameter: name, code: 'invalid_format' }]);
      }),
    );
    expect(problems({ prompt: 'a', [name]: 'euler\n' })).toHaveLength(1);
    expect(problems({ prompt: 'a', [name]: 7 })).toMatchObject([{ parameter: name, code: 'wrong_type' }]);
  });

  it('takes base64 only as false, and says so', () => {
    for (const value of [true, 'false', 0, 1])
      expect(problems({ prompt: 'a', base64: value })).toMatchObject([
        { parameter: 'base64', detail: expect.stringContaining('must be false') },
      ]);
  });

  it('says what would be right and what is there', () => {
    expect(problems({ prompt: 'a', steps: 99 })).toEqual([
      { parameter: 'steps', code: 'out_of_range', detail: 'steps must be a whole number from 10 to 70, but is 99.' },
    ]);
  });

  it('reports everything that is wrong, and twenty problems at most', () => {
    expect(problems({ steps: 1, width: 'x', nope: 1 }).map(({ parameter }) => parameter)).toEqual([
      'nope',
      'prompt',
      'steps',
      'width',
    ]);
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`p${i}`, i]));
    expect(problems(many)).toHaveLength(20);
  });

  it('takes null for what is left out', () => {
    const nulls = Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, null]));
    expect(accepted({ prompt: 'a', ...nulls })).toEqual({ prompt: 'a', ...DEFAULTS });
    expect(problems({ prompt: null })).toMatchObject([{ parameter: 'prompt', code: 'required' }]);
  });
});

describe('a seed', () => {
  it.each([[undefined], [null], ['random'], [-1]])('of %j is drawn', (seed) => {
    expect(accepted({ prompt: 'a', seed }).seed).toBe(SEED);
  });

  it('is drawn anew for each input', () => {
    const seeds = Array.from({ length: 50 }, () => {
      const checked = checkInput(model, { prompt: 'a' });
      return checked.ok ? checked.input.seed : undefined;
    });
    expect(new Set(seeds).size).toBe(50);
    for (const seed of seeds) expect(problems({ prompt: 'a', seed })).toEqual([]);
  });

  it.each([-2, 1.5, '12', 'Random', '', true])('of %j is refused', (seed) => {
    expect(problems({ prompt: 'a', seed })).toMatchObject([{ parameter: 'seed' }]);
  });
});

describe('a prompt', () => {
  it.each(['', ' ', '\t\n\u00a0\u3000'])('that is blank (%j) is refused', (prompt) => {
    expect(problems({ prompt })).toMatchObject([{ parameter: 'prompt', code: 'invalid_format' }]);
  });

  it('has up to 20,000 characters, counted as people count them in any script', () => {
    for (const character of ['a', 'é', '日', '🦊']) {
      expect(accepted({ prompt: character.repeat(20_000) }).prompt).toHaveLength(character.length * 20_000);
      expect(problems({ prompt: character.repeat(20_001) })).toMatchObject([{ parameter: 'prompt' }]);
    }
  });

  it('cannot be made long by marks that add to one character', () => {
    for (const mark of ['\u0301', '\u200d', '\ufe0f'])
      expect(problems({ prompt: `a${mark.repeat(100_000)}` })).toMatchObject([{ parameter: 'prompt' }]);
  });

  it.each(['prompt', 'negative_prompt', 'sampler'])(
    'or another text with half a surrogate pair is refused (%s)',
    (name) => {
      for (const half of ['\ud83d', '\udd8a', 'a\ud83db', '\udd8a\ud83d'])
        expect(problems({ prompt: 'a', [name]: half })).toMatchObject([{ parameter: name, code: 'invalid_format' }]);
    },
  );
});

describe('a parameter that does not exist', () => {
  it.each([
    ['step', 'steps'],
    ['Steps', 'steps'],
    ['negativ_prompt', 'negative_prompt'],
    ['guidence_scale', 'guidance_scale'],
    ['hieght', 'height'],
  ])('%s brings to mind %s', (name, meant) => {
    expect(problems({ prompt: 'a', [name]: 1 })).toMatchObject([
      { parameter: name, code: 'unknown_parameter', detail: expect.stringContaining(`Did you mean ${meant}?`) },
    ]);
  });

  it('brings the list where nothing is near', () => {
    const [problem] = problems({ prompt: 'a', strawberries: 1 });
    for (const name of ['prompt', ...Object.keys(DEFAULTS)]) expect(problem?.detail).toContain(name);
  });

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'prototype'])('may be called %s', (name) => {
    const given = JSON.parse(`{"prompt": "a", "${name}": {"steps": 10}}`) as Record<string, unknown>;
    expect(problems(given)).toMatchObject([{ parameter: name, code: 'unknown_parameter' }]);
    expect(({} as Record<string, unknown>).steps).toBeUndefined();
  });

  it('is not taken from the prototype of what was given', () => {
    expect(
      accepted(Object.assign(Object.create({ steps: 10, wrong: 1 }), { prompt: 'a' }) as Record<string, unknown>),
    ).toEqual({
      prompt: 'a',
      ...DEFAULTS,
    });
  });

  it('costs little, however many there are and however long their names', () => {
    const many = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`parameter_${i}`, i]));
    const began = performance.now();
    expect(problems(many)).toHaveLength(20);
    expect(problems({ prompt: 'a', ['x'.repeat(1_000_000)]: 1 })[0]?.detail.length).toBeLessThan(500);
    expect(performance.now() - began).toBeLessThan(500);
  });
});
