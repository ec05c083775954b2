import type { TObject } from 'typebox';
import type { CostFactors } from '../credits/estimate.ts';
import { STABLE_DIFFUSION, StableDiffusionParameters } from './stable-diffusion.ts';

/** A model is a description, not code: its slug, its parameters, and where in them that lies which decides cost. */
export interface Model {
  readonly slug: string;
  readonly title: string;
  readonly parameters: TObject;
  /** Names of the parameters that cost depends on. */
  readonly cost: { readonly steps: string; readonly width: string; readonly height: string };
  /** The parameter that takes the seed. */
  readonly seed: string;
}

export const MODELS: readonly Model[] = [
  {
    slug: STABLE_DIFFUSION,
    title: 'Stable Diffusion 3.5 Large',
    parameters: StableDiffusionParameters,
    cost: { steps: 'steps', width: 'width', height: 'height' },
    seed: 'seed',
  },
];

/** The model of a job that names none. */
export const DEFAULT_MODEL = STABLE_DIFFUSION;

export function findModel(slug: string): Model | undefined {
  return MODELS.find((model) => model.slug === slug);
}

/** What of an input decides the cost of its call. An `aspect_ratio` other than custom counts as the default size. */
export function costFactors(model: Model, input: Readonly<Record<string, unknown>>): CostFactors {
  const number = (name: string, otherwise: number) => (typeof input[name] === 'number' ? input[name] : otherwise);
  const custom = (input.aspect_ratio ?? 'custom') === 'custom';
  return {
    model: model.slug,
    steps: number(model.cost.steps, 30),
    width: custom ? number(model.cost.width, 1024) : 1024,
    height: custom ? number(model.cost.height, 1024) : 1024,
  };
}
