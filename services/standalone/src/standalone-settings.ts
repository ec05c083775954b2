import { readConfig } from '@renderyard/shared/config';
import { type Environment, SettingsError } from '@renderyard/shared/settings';

/** What the all-in-one process itself needs to know of the settings that it hands to the services. */
export interface StandaloneSettings {
  readonly host: string;
  /** 0 asks the system for a free one. */
  readonly port: number;
  /** Undefined: a Redis of our own. */
  readonly redisUrl: string | undefined;
  readonly dataDir: string;
  /** No key: the simulator. */
  readonly simulate: boolean;
  /** Whether a request must bring an API key. */
  readonly needsKey: boolean;
  /** How long the worker may drain, in milliseconds. */
  readonly graceMs: number;
}

/**
 * Reads the settings of all services, so that what is wrong is told before anything starts.
 * @throws {SettingsError} naming everything that is wrong.
 */
export function readStandaloneSettings(env: Environment): StandaloneSettings {
  const config = readConfig(env);
  const simulate = config.SEGMIND_API_KEY === undefined;
  if (simulate && (env.SEGMIND_BASE_URL ?? '').trim() !== '')
    throw new SettingsError([
      'SEGMIND_BASE_URL is set, but SEGMIND_API_KEY is not. Set both, or neither to use the simulator.',
    ]);
  return {
    host: config.HOST,
    port: config.PORT,
    redisUrl: config.REDIS_URL,
    dataDir: config.DATA_DIR,
    simulate,
    needsKey: config.RENDERYARD_API_KEYS.length > 0,
    graceMs: config.SHUTDOWN_GRACE_MS,
  };
}
