import { nameDistance } from '@renderyard/shared/model/near-name';
import { foldName } from './column-roles.ts';

/** Names that other programs give to what Segmind calls otherwise. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  cfg: 'guidance_scale',
  cfg_scale: 'guidance_scale',
  guidance: 'guidance_scale',
  neg: 'negative_prompt',
  negative: 'negative_prompt',
  neg_prompt: 'negative_prompt',
  step: 'steps',
  num_steps: 'steps',
  inference_steps: 'steps',
  num_inference_steps: 'steps',
  random_seed: 'seed',
  noise_seed: 'seed',
  sampler_name: 'sampler',
  sampling_method: 'sampler',
  scheduler_name: 'scheduler',
  w: 'width',
  h: 'height',
  img_width: 'width',
  img_height: 'height',
  image_width: 'width',
  image_height: 'height',
  ratio: 'aspect_ratio',
  aspect: 'aspect_ratio',
  quality: 'image_quality',
  format: 'image_format',
  output_format: 'image_format',
  customid: 'custom_id',
};

/** More wrong letters than this make it another name. */
const NEAR = 2;

/**
 * The name that is probably meant by a column that means nothing: one that differs by two letters at most, and by less
 * than half of them, or that other programs have for it.
 */
export function meantName(column: string, names: readonly string[]): string | undefined {
  const plain = foldName(column)
    .replace(/[\s.\-_]+/g, '_')
    .replace(/_(?:px|pixels)$/, '');
  const other = Object.hasOwn(OTHER_NAMES, plain) ? OTHER_NAMES[plain] : plain;
  if (other !== undefined && names.includes(other)) return other;
  let nearest: string | undefined;
  let least = NEAR + 1;
  for (const name of names) {
    const distance = nameDistance(plain, name);
    if (distance < least && distance * 2 < name.length) {
      least = distance;
      nearest = name;
    }
  }
  return nearest;
}
