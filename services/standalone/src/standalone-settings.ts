import { type Environment, integer, readSettings, SettingsError, text, url } from '@renderyard/shared/settings';

/** What the all-in-one process itself needs to know; the services read the same environment for the rest. */
export interface StandaloneSettings {
  readonly host: string;
  /** 0 asks the system for a free one. */
  readonly port: number;
  /** Undefined: a Redis of our own. */
  readonly redisUrl: string | undefined;
  readonly dataDir: string;
  /** No key: the simulator. */
  readonly simulate: boolean;
  /** How long the worker may drain, in milliseconds. */
  readonly graceMs: number;
}

/** @throws {SettingsError} naming every setting that is wrong. */
export function readStandaloneSettings(env: Environment): StandaloneSettings {
  const values = readSettings(env, {
    HOST: text('127.0.0.1', 255),
    PORT: integer(0, 65_535, 8080),
    REDIS_URL: url(['redis:', 'rediss:', 'redis+sentinel:'], undefined),
    DATA_DIR: text('.data'),
    SEGMIND_API_KEY: text(undefined),
    SEGMIND_BASE_URL: url(['http:', 'https:'], undefined),
    SHUTDOWN_GRACE_MS: integer(0, 3_600_000, 25_000),
  });
  const simulate = values.SEGMIND_API_KEY === undefined;
  if (simulate && values.SEGMIND_BASE_URL !== undefined)
    throw new SettingsError([
      'SEGMIND_BASE_URL is set, but SEGMIND_API_KEY is not. Set both, or neither to use the simulator.',
    ]);
  return {
    host: values.HOST,
    port: values.PORT,
    redisUrl: values.REDIS_URL,
    dataDir: values.DATA_DIR,
    simulate,
    graceMs: values.SHUTDOWN_GRACE_MS,
  };
}
