import { type Static, Type } from 'typebox';

/** The slug under which Segmind serves the model. */
export const STABLE_DIFFUSION = 'stable-diffusion-3.5-large-txt2img';

/**
 * Upstream checks the three open enums itself and charges nothing for a value it does not know; their full lists are
 * not published, so here only the shape is checked.
 */
const OPEN_ENUM = '^[a-z0-9_:]{1,40}$';

/**
 * The parameters, as Segmind's model page gives them (https://www.segmind.com/models/stable-diffusion-3.5-large-txt2img/api),
 * with their ranges. Known values of the open enums are in docs/parameters.md.
 */
export const StableDiffusionParameters = Type.Object(
  {
    prompt: Type.String({
      minLength: 1,
      maxLength: 20_000,
      pattern: '\\S',
      description: 'What to draw. Sent byte for byte.',
    }),
    negative_prompt: Type.String({ maxLength: 20_000, default: 'low quality, blurry', description: 'What to avoid.' }),
    steps: Type.Integer({
      minimum: 10,
      maximum: 70,
      default: 30,
      description: 'Denoising steps; cost and time grow with them.',
    }),
    guidance_scale: Type.Number({
      minimum: 1,
      maximum: 15,
      default: 5.5,
      description: 'How closely the prompt is followed.',
    }),
    seed: Type.Integer({
      minimum: 0,
      maximum: 4_294_967_295,
      description: 'Left out or "random", Renderyard draws one and shows it.',
    }),
    sampler: Type.String({ pattern: OPEN_ENUM, default: 'euler', description: 'Name of the sampler.' }),
    scheduler: Type.String({ pattern: OPEN_ENUM, default: 'sgm_uniform', description: 'Name of the noise schedule.' }),
    width: Type.Integer({
      minimum: 64,
      maximum: 2048,
      default: 1024,
      description: 'Pixels; counts with aspect_ratio custom.',
    }),
    height: Type.Integer({
      minimum: 64,
      maximum: 2048,
      default: 1024,
      description: 'Pixels; counts with aspect_ratio custom.',
    }),
    aspect_ratio: Type.String({
      pattern: OPEN_ENUM,
      default: 'custom',
      description: 'custom, or a ratio such as 16:9.',
    }),
    batch_size: Type.Integer({
      minimum: 1,
      maximum: 1,
      default: 1,
      description: 'Always 1: one job is one image. Submit a job for each image.',
    }),
    image_format: Type.String({ pattern: OPEN_ENUM, default: 'jpeg', description: 'jpeg or png.' }),
    image_quality: Type.Integer({ minimum: 10, maximum: 100, default: 95, description: 'Of lossy formats.' }),
    base64: Type.Literal(false, { default: false, description: 'Always false: images are stored as bytes.' }),
  },
  { additionalProperties: false },
);

/** The body of a call, complete. */
export type StableDiffusionInput = Static<typeof StableDiffusionParameters>;
