import { IMAGE_FORMATS, SAMPLERS, SCHEDULERS } from './parameters.ts';
import { ASPECT_RATIO_SIZES } from './sizes.ts';

/** The parameters that models here have. The upstream does not publish the inner form of this list: this one is a guess. */
const PARAMETERS = [
  { name: 'prompt', type: 'str', required: true },
  { name: 'negative_prompt', type: 'str', default: 'low quality, blurry' },
  { name: 'steps', type: 'int', default: 30, min: 10, max: 70 },
  { name: 'guidance_scale', type: 'float', default: 5.5, min: 1, max: 15 },
  { name: 'seed', type: 'int', default: 98_552_302 },
  { name: 'sampler', type: 'enum', required: true, default: 'euler', options: SAMPLERS },
  { name: 'scheduler', type: 'enum', required: true, default: 'sgm_uniform', options: SCHEDULERS },
  { name: 'width', type: 'int', default: 1024, min: 64, max: 2048 },
  { name: 'height', type: 'int', default: 1024, min: 64, max: 2048 },
  { name: 'aspect_ratio', type: 'enum', default: 'custom', options: ['custom', ...Object.keys(ASPECT_RATIO_SIZES)] },
  { name: 'batch_size', type: 'int', default: 1, min: 1, max: 10 },
  { name: 'image_format', type: 'enum', default: 'jpeg', options: IMAGE_FORMATS },
  { name: 'image_quality', type: 'int', default: 95, min: 10, max: 100 },
  { name: 'base64', type: 'bool', default: true },
];

/** The list of models as JSON, in the outer form of the upstream's public catalogue. */
export function catalogueOf(slugs: readonly string[]): string {
  return JSON.stringify(
    slugs.map((slug) => ({
      title: slug.replaceAll('-', ' '),
      type: 'txt2img',
      description: 'A model of the simulator: pictures are drawn from the prompt and the seed, not by a network.',
      slug,
      parameters: PARAMETERS,
    })),
  );
}
