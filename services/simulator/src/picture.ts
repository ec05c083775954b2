import type { PictureInput } from './image/painter.ts';
import { type RenderParameters, sizeOf } from './parameters.ts';

/** What a render's picture is made from. What only changes the file (`base64`, `batch_size`) does not change the scene. */
export function pictureOf(parameters: RenderParameters, seed: number, atLeastBytes?: number): PictureInput {
  const [width, height] = sizeOf(parameters);
  const { negative_prompt, steps, guidance_scale, sampler, scheduler } = parameters;
  return {
    prompt: parameters.prompt,
    seed,
    variant: JSON.stringify([negative_prompt, steps, guidance_scale, sampler, scheduler]),
    width,
    height,
    format: parameters.image_format,
    quality: parameters.image_quality,
    atLeastBytes,
  };
}
