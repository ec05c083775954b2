import { ASPECT_RATIO_SIZES } from './sizes.ts';

/** The parameters of a render, with the upstream's defaults filled in where it has one. */
export interface RenderParameters {
  readonly prompt: string;
  readonly negative_prompt: string;
  readonly steps: number;
  readonly guidance_scale: number;
  /** -1 asks for a random seed. */
  readonly seed: number;
  readonly sampler: string;
  readonly scheduler: string;
  readonly width: number;
  readonly height: number;
  readonly aspect_ratio: string;
  readonly batch_size: number;
  readonly image_format: ImageFormat;
  readonly image_quality: number;
  readonly base64: boolean;
}

export const IMAGE_FORMATS = ['jpeg', 'png', 'webp'] as const;
export type ImageFormat = (typeof IMAGE_FORMATS)[number];

/** Why a request is refused: the status it gets and the message of its error. */
export interface Refusal {
  readonly status: 400 | 406 | 422;
  readonly message: string;
}

/** The ten samplers that are known, with the upstream's own two misspellings. */
export const SAMPLERS = [
  'euler',
  'euler_cfg_pp',
  'euler_ancestra',
  'leuler_ancestral_cfg_pp',
  'heun',
  'heunpp2',
  'dpm_2',
  'dpm_2_ancestral',
  'lms',
  'dpm_fast',
] as const;

export const SCHEDULERS = ['sgm_uniform', 'simple', 'normal', 'karras', 'exponential', 'ddim_uniform'] as const;

/** The form that a value of an open enum has; whether it is a value that the upstream knows is another question. */
const ENUM_FORM = /^[a-z0-9_:]{1,40}$/;

type Check = (name: string, value: unknown) => Refusal | undefined;
const invalid = (message: string): Refusal => ({ status: 422, message });

const number =
  (min: number, max: number, whole: boolean): Check =>
  (name, value) =>
    typeof value === 'number' &&
    (whole ? Number.isSafeInteger(value) : Number.isFinite(value)) &&
    value >= min &&
    value <= max
      ? undefined
      : invalid(`${name} must be ${whole ? 'an integer' : 'a number'} from ${min} to ${max}.`);

const known =
  (words: readonly string[]): Check =>
  (name, value) => {
    if (typeof value !== 'string' || !ENUM_FORM.test(value)) return invalid(`${name} must be one of its known values.`);
    if (words.includes(value)) return undefined;
    return { status: 406, message: `Invalid value for parameter ${name}: ${value}.` };
  };

const text: Check = (name, value) => (typeof value === 'string' ? undefined : invalid(`${name} must be a string.`));

/**
 * Each parameter with its check, and its default unless it is required. The upstream's reference marks `sampler` and
 * `scheduler` as required beside `prompt`, although it names defaults for them.
 */
const PARAMETERS: Readonly<Record<keyof RenderParameters, { readonly fallback?: unknown; readonly check: Check }>> = {
  prompt: {
    check: (name, value) =>
      typeof value === 'string' && value !== '' ? undefined : invalid(`${name} must be a string that is not empty.`),
  },
  negative_prompt: { fallback: 'low quality, blurry', check: text },
  steps: { fallback: 30, check: number(10, 70, true) },
  guidance_scale: { fallback: 5.5, check: number(1, 15, false) },
  seed: { fallback: 98_552_302, check: number(-1, Number.MAX_SAFE_INTEGER, true) },
  sampler: { check: known(SAMPLERS) },
  scheduler: { check: known(SCHEDULERS) },
  width: { fallback: 1024, check: number(64, 2048, true) },
  height: { fallback: 1024, check: number(64, 2048, true) },
  aspect_ratio: { fallback: 'custom', check: known(['custom', ...Object.keys(ASPECT_RATIO_SIZES)]) },
  batch_size: { fallback: 1, check: number(1, 10, true) },
  image_format: { fallback: 'jpeg', check: known(IMAGE_FORMATS) },
  image_quality: { fallback: 95, check: number(10, 100, true) },
  base64: {
    fallback: true,
    check: (name, value) => (typeof value === 'boolean' ? undefined : invalid(`${name} must be true or false.`)),
  },
};

/**
 * Checks a parsed body. Types are strict (no `"30"` for 30, no null), ranges include their ends, and a parameter that the
 * model does not have is refused, so that a misspelt one cannot go unseen.
 */
export function readParameters(
  body: unknown,
): { readonly parameters: RenderParameters } | { readonly refusal: Refusal } {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    return { refusal: { status: 400, message: 'The body must be a JSON object.' } };
  const given = new Map<string, unknown>(Object.entries(body));
  const values: Record<string, unknown> = {};
  let refused: Refusal | undefined;
  for (const [name, { fallback, check }] of Object.entries(PARAMETERS)) {
    if (!given.has(name) && fallback === undefined) return { refusal: invalid(`${name} is required.`) };
    values[name] = given.has(name) ? given.get(name) : fallback;
    given.delete(name);
    const refusal = check(name, values[name]);
    if (refusal?.status === 422) return { refusal };
    refused ??= refusal;
  }
  for (const name of given.keys())
    return { refusal: invalid(`${name.toWellFormed().slice(0, 80)} is not a parameter of this model.`) };
  return refused === undefined ? { parameters: values as unknown as RenderParameters } : { refusal: refused };
}

/** The size in pixels that a render has: `width` and `height` count only with the aspect ratio `custom`. */
export function sizeOf(parameters: RenderParameters): readonly [width: number, height: number] {
  return ASPECT_RATIO_SIZES[parameters.aspect_ratio] ?? [parameters.width, parameters.height];
}
