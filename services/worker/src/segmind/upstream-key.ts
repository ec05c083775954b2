import type { KnownSecrets } from '@renderyard/shared/known-secrets';
import type { Logger } from '@renderyard/shared/logger';
import { SettingsError } from '@renderyard/shared/settings';
import { readKeyFile } from '@renderyard/shared/upstream-key-file';

/** The key that calls are made with. Where it comes from a file it can become another one while the worker runs. */
export interface UpstreamKey {
  /** For the header `x-api-key`. */
  current(): string;
  /** Which of the keys that this worker has had is the current one, from 1. It can be told without telling the key. */
  readonly version: number;
  /**
   * Reads the file again, where there is one. A file that is missing or holds no key changes nothing, and is logged
   * once until it holds one again. Never throws.
   * @returns whether the key is another one than before
   */
  refresh(): Promise<boolean>;
  /** A text of the upstream's without any key that this worker has had. */
  hide(text: string): string;
}

/**
 * Takes the key from the setting, or from the file. Every key that is read is added to `secrets` before it is used.
 * @param setting `SEGMIND_API_KEY`
 * @param file `SEGMIND_API_KEY_FILE`; used where there is no `setting`
 * @throws {SettingsError} when there is neither, or the file holds no key.
 */
export async function createUpstreamKey({
  setting,
  file,
  secrets,
  logger,
}: {
  readonly setting: string | undefined;
  readonly file: string | undefined;
  readonly secrets: KnownSecrets;
  readonly logger: Logger;
}): Promise<UpstreamKey> {
  let key = setting ?? (await readFirst(file));
  let version = 1;
  let unreadable = false;
  let reading: Promise<boolean> | undefined;
  secrets.add(key);

  async function read(path: string): Promise<boolean> {
    const content = await readKeyFile(path);
    if ('problem' in content) {
      if (!unreadable) logger.warn(`The key cannot be read again, and the one before stays in use: ${content.problem}`);
      unreadable = true;
      return false;
    }
    if (unreadable) logger.info('the file of SEGMIND_API_KEY_FILE holds a key again');
    unreadable = false;
    if (content.key === key) return false;
    secrets.add(content.key);
    key = content.key;
    version += 1;
    logger.info({ file: path }, 'the file of SEGMIND_API_KEY_FILE holds another key, which is used from now on');
    return true;
  }

  return {
    current: () => key,
    get version() {
      return version;
    },
    async refresh() {
      if (setting !== undefined || file === undefined) return false;
      reading ??= read(file).finally(() => {
        reading = undefined;
      });
      return reading;
    },
    hide: secrets.hide,
  };
}

async function readFirst(file: string | undefined): Promise<string> {
  if (file === undefined)
    throw new SettingsError([
      'SEGMIND_API_KEY or SEGMIND_API_KEY_FILE must be set: a worker calls the upstream with it. `npm start` brings a simulator where there is none.',
    ]);
  const content = await readKeyFile(file);
  if ('problem' in content) throw new SettingsError([content.problem]);
  return content.key;
}
