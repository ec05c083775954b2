import { randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SETTINGS } from '@renderyard/shared/config';

/**
 * Makes what the services of docker-compose.yml need to know and nobody else may, each in a file of its own in a volume.
 * What is there is kept: a second start finds what the first one made, and keys of the API that were added since.
 */
const [folder = '/secrets'] = process.argv.slice(2);

/** Whole or not at all, readable by its owner only. */
async function write(name: string, content: string): Promise<void> {
  const path = join(folder, name);
  await writeFile(`${path}.new`, content, { mode: 0o400, flush: true });
  await rename(`${path}.new`, path);
}

/** Empty where there is none. */
const read = (name: string): Promise<string> =>
  readFile(join(folder, name), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });

/** Whether the API would take it. */
function hasApiKeys(list: string): boolean {
  return (SETTINGS.RENDERYARD_API_KEYS.parse(list.trim())?.length ?? 0) > 0;
}

async function made(name: string, make: () => string): Promise<string> {
  const kept = await read(name);
  if (kept !== '') return kept;
  const content = make();
  await write(name, content);
  return content;
}

const random = (bytes: number) => () => randomBytes(bytes).toString('hex');

await made('secret-key', () => randomBytes(32).toString('base64'));
const apiKey = await made('api-key', random(24));
const s3Key = await made('s3-access-key', random(10));
const s3Secret = await made('s3-secret-key', random(32));
// The same once more, in the forms in which they are read.
if (!hasApiKeys(await read('api-keys'))) await write('api-keys', `default:${apiKey}`);
await write('s3-credentials', `[default]\naws_access_key_id = ${s3Key}\naws_secret_access_key = ${s3Secret}\n`);
