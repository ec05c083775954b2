import { join, resolve } from 'node:path';
import { readApiSettings } from '@renderyard/api/api-settings';
import { type Environment, SettingsError } from '@renderyard/shared/settings';

/** What the all-in-one process itself needs to know of the settings that it hands to the services. */
export interface StandaloneSettings {
  readonly host: string;
  /** 0 asks the system for a free one. */
  readonly port: number;
  /** Undefined: a Redis of our own. */
  readonly redisUrl: string | undefined;
  readonly dataDir: string;
  /** Where the store keeps its objects, for people: a folder or an `s3://` address, without a `/` at its end. */
  readonly storeAt: string;
  /** No key: the simulator. */
  readonly simulate: boolean;
  /** Whether a request must bring an API key. */
  readonly needsKey: boolean;
  /** How long calls in flight may take to end when all of it stops, in milliseconds. */
  readonly graceMs: number;
  /** How long the API goes on serving before that, in milliseconds. */
  readonly delayMs: number;
}

const isUnset = (value: string | undefined) => (value ?? '').trim() === '';

/** Whether the simulator stands in for Segmind: there is no key, and no file with one. */
export const usesSimulator = (env: Environment): boolean =>
  isUnset(env.SEGMIND_API_KEY) && isUnset(env.SEGMIND_API_KEY_FILE);

/**
 * Reads the settings of the API and the worker, by the rules of the API; the worker has no others.
 * @throws {SettingsError} naming everything that is wrong.
 */
export function readStandaloneSettings(env: Environment): StandaloneSettings {
  const simulate = usesSimulator(env);
  const bringsRedis = isUnset(env.REDIS_URL) && isUnset(env.REDIS_URL_FILE);
  const problems: string[] = [];
  if (simulate && !isUnset(env.SEGMIND_BASE_URL))
    problems.push(
      'SEGMIND_BASE_URL is set, but SEGMIND_API_KEY is not. Set it, or SEGMIND_API_KEY_FILE, or none of the three to use the simulator.',
    );
  try {
    // Where our own Redis will listen is not known yet, and the API must be given one.
    const { config } = readApiSettings(bringsRedis ? { ...env, REDIS_URL: 'redis://127.0.0.1' } : env);
    if (problems.length === 0)
      return {
        host: config.HOST,
        port: config.PORT,
        redisUrl: bringsRedis ? undefined : config.REDIS_URL,
        dataDir: config.DATA_DIR,
        storeAt: describeStore(config),
        simulate,
        needsKey: config.RENDERYARD_API_KEYS.length > 0,
        graceMs: config.SHUTDOWN_GRACE_MS,
        delayMs: config.SHUTDOWN_DELAY_MS,
      };
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    problems.push(...error.problems);
  }
  throw new SettingsError(problems);
}

function describeStore(config: {
  readonly S3_BUCKET: string | undefined;
  readonly S3_PREFIX: string | undefined;
  readonly DATA_DIR: string;
}): string {
  if (config.S3_BUCKET === undefined) return join(resolve(config.DATA_DIR), 'store');
  const prefix = (config.S3_PREFIX ?? '').replaceAll(/^\/+|\/+$/g, '');
  return `s3://${config.S3_BUCKET}${prefix === '' ? '' : `/${prefix}`}`;
}
