import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SettingsError } from './settings.ts';

/** Bytes of the key. */
const LENGTH = 32;

/**
 * The key that signs links and encrypts what is secret at rest: the setting, or one that is made once and kept in
 * `DATA_DIR`, readable by its owner only. Processes that start at the same time agree on one.
 * @throws {SettingsError} when the kept key is not 32 bytes.
 */
export async function loadSecretKey({
  setting,
  dataDir,
}: {
  readonly setting: Buffer | undefined;
  readonly dataDir: string;
}): Promise<Buffer> {
  if (setting !== undefined) return setting;
  const path = join(dataDir, 'secret-key');
  await mkdir(dataDir, { recursive: true });
  const kept = await readKey(path);
  if (kept !== undefined) return kept;
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  await writeFile(draft, `${randomBytes(LENGTH).toString('base64')}\n`, { mode: 0o600, flush: true });
  // A link is made only where there is none, so the first of several wins and all read its key.
  await link(draft, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await rm(draft);
  return loadSecretKey({ setting, dataDir });
}

async function readKey(path: string): Promise<Buffer | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const key = Buffer.from(text.trim(), 'base64');
  if (key.length !== LENGTH)
    throw new SettingsError([`${path} must hold 32 bytes in base64; restore it, or set SECRET_KEY.`]);
  return key;
}
