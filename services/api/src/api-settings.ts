import { type Config, readConfig, requireRedisUrl, SETTINGS } from '@renderyard/shared/config';
import { readSecretFiles } from '@renderyard/shared/secret-files';
import { type Environment, readSettings, SettingsError } from '@renderyard/shared/settings';
import { isLoopback } from './access/loopback.ts';

/** Characters; a shorter secret can be guessed. */
const SHORTEST_SECRET = 16;

/**
 * The settings of the API, with the rules that concern it alone.
 * @throws {SettingsError} naming everything that is wrong, of all settings at once.
 */
export function readApiSettings(given: Environment): { readonly config: Config; readonly redisUrl: string } {
  const problems: string[] = [];
  const collect = <T>(read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error;
      problems.push(...error.problems.filter((problem) => !problems.includes(problem)));
      return undefined;
    }
  };
  const { env, problems: unread } = readSecretFiles(given);
  const config = collect(() => readConfig(env));
  // The further rules look at their own settings only, so that a mistake elsewhere does not hide theirs.
  const { REDIS_URL, HOST, RENDERYARD_API_KEYS, PORT, METRICS_PORT } = SETTINGS;
  const redisUrl = unread.has('REDIS_URL')
    ? undefined
    : collect(() => requireRedisUrl(readSettings(env, { REDIS_URL }) as Config));
  if (!unread.has('RENDERYARD_API_KEYS'))
    collect(() => requireSafeHost(readSettings(env, { HOST, RENDERYARD_API_KEYS })));
  collect(() => requireTwoPorts(readSettings(env, { PORT, METRICS_PORT })));
  if (config === undefined || redisUrl === undefined || problems.length > 0) throw new SettingsError(problems);
  return { config, redisUrl };
}

/** @throws {SettingsError} where everybody in the network could ask without a key. */
function requireSafeHost({ HOST, RENDERYARD_API_KEYS }: Pick<Config, 'HOST' | 'RENDERYARD_API_KEYS'>): void {
  if (RENDERYARD_API_KEYS.length === 0 && !isLoopback(HOST))
    throw new SettingsError([
      `HOST must be a loopback address (127.0.0.1, ::1 or localhost) as long as no API key is configured, but is ${JSON.stringify(HOST)}. Set RENDERYARD_API_KEYS to listen there.`,
    ]);
}

/** @throws {SettingsError} where the API and those who watch over it are to have one port. */
function requireTwoPorts({ PORT, METRICS_PORT }: Pick<Config, 'PORT' | 'METRICS_PORT'>): void {
  if (PORT !== 0 && PORT === METRICS_PORT)
    throw new SettingsError([`PORT and METRICS_PORT are both ${PORT}. Set one of them to another port.`]);
}

/**
 * The names of static keys in `RENDERYARD_API_KEYS` whose secret is too short. The secrets themselves are read here only
 * to be measured.
 */
export function shortKeys(env: Environment): readonly string[] {
  return (env.RENDERYARD_API_KEYS ?? '')
    .split(',')
    .map((entry) => /^\s*([^:]+):(.*?)\s*$/s.exec(entry))
    .filter((entry) => entry !== null)
    .filter(([, , secret = '']) => !secret.startsWith('sha256:') && secret.length < SHORTEST_SECRET)
    .map(([, name = '']) => name);
}
