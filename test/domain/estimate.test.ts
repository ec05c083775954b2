import { nanocredits } from '@renderyard/shared/credits/amount';
import { costClass, estimateCost } from '@renderyard/shared/credits/estimate';
import { costFactors, DEFAULT_MODEL, findModel } from '@renderyard/shared/model/model';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const factors = fc.record({
  model: fc.constant('m'),
  steps: fc.integer({ min: 10, max: 70 }),
  width: fc.integer({ min: 64, max: 2048 }),
  height: fc.integer({ min: 64, max: 2048 }),
});
const setting = fc.double({ min: 0.000_001, max: 1000, noNaN: true });

describe('estimateCost', () => {
  it('is the setting for the image that the setting is stated for', () => {
    expect(estimateCost({ model: 'm', steps: 30, width: 1024, height: 1024 }, 0.02)).toBe(nanocredits(0.02));
    expect(estimateCost({ model: 'm', steps: 60, width: 2048, height: 1024 }, 0.02)).toBe(nanocredits(0.08));
  });

  it('is a whole, positive number of nanocredits, and never under a quarter of the setting', () => {
    fc.assert(
      fc.property(factors, setting, (of, credits) => {
        const estimate = estimateCost(of, credits);
        expect(Number.isSafeInteger(estimate)).toBe(true);
        expect(estimate).toBeGreaterThan(0);
        expect(estimate).toBeGreaterThanOrEqual(Math.floor(credits * 0.25 * 1e9));
      }),
    );
  });

  it('never falls when steps or pixels are added', () => {
    fc.assert(
      fc.property(factors, fc.nat(10), fc.nat(100), fc.nat(100), (of, steps, width, height) => {
        const more = { ...of, steps: of.steps + steps, width: of.width + width, height: of.height + height };
        expect(estimateCost(more, 0.02)).toBeGreaterThanOrEqual(estimateCost(of, 0.02));
      }),
    );
  });
});

describe('costClass', () => {
  it('tells any two requests apart that differ in what decides cost', () => {
    fc.assert(
      fc.property(factors, factors, (one, two) => {
        const same = one.steps === two.steps && one.width === two.width && one.height === two.height;
        expect(costClass(one) === costClass(two)).toBe(same);
      }),
    );
  });
});

describe('costFactors', () => {
  const model = findModel(DEFAULT_MODEL);
  if (model === undefined) throw new Error('the default model is not described');

  it('are read from the input, with the size that counts', () => {
    const input = { steps: 40, width: 512, height: 768, aspect_ratio: 'custom' };
    expect(costFactors(model, input)).toEqual({ model: DEFAULT_MODEL, steps: 40, width: 512, height: 768 });
    expect(costFactors(model, { ...input, aspect_ratio: '16:9' })).toMatchObject({ width: 1024, height: 1024 });
    expect(costFactors(model, {})).toMatchObject({ steps: 30, width: 1024, height: 1024 });
  });

  it('know no model by a name of the prototype', () => {
    for (const slug of ['', '__proto__', 'constructor', 'toString']) expect(findModel(slug)).toBeUndefined();
  });
});
