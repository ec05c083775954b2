import { join } from 'node:path';

/** The example, from the root of the repository. */
export const DEMO_FILE = 'examples/prompts.csv';
export const DEMO_PATH = join(import.meta.dirname, '../../../..', DEMO_FILE);

/** What the file was made for; examples/README.md says the same. */
export const DEMO_OPTIONS = {
  name: `Demo: ${DEMO_FILE}`,
  prompt_template: '{{subject}}, {{style}}, {{light}}',
  key_template: '{{id}}-{{seed}}',
  defaults: '{"negative_prompt":"lettering, watermark","image_quality":90}',
} as const;
