import { createHash } from 'node:crypto';
import { type Nanocredits, nanocredits } from './credits/amount.ts';
import { LOG_LEVELS } from './logger.ts';
import { parseRedisUrl, REDIS_URL_FORMS } from './redis/redis-url.ts';
import { readSecretFiles } from './secret-files.ts';
import {
  decimal,
  type Environment,
  host,
  integer,
  oneOf,
  readSettings,
  type Setting,
  SettingsError,
  text,
  url,
} from './settings.ts';
import { STORE_SETTINGS } from './store/store-settings.ts';
import { type Cidr, parseCidrs } from './webhook/cidr.ts';

/** Everything an installation can be told, with its default: documented in docs/settings.md, compared by a test. */
export const SETTINGS = {
  HOST: host('127.0.0.1'),
  PORT: integer(0, 65_535, 8080),
  PUBLIC_URL: url(['http:', 'https:'], undefined),
  METRICS_HOST: host('127.0.0.1'),
  METRICS_PORT: integer(0, 65_535, undefined),
  REDIS_URL: redisUrl(),
  REDIS_URL_FILE: text(undefined),
  REDIS_PREFIX: name('renderyard'),
  DATA_DIR: text('.data'),
  ...STORE_SETTINGS,
  SEGMIND_API_KEY: headerWord(512),
  SEGMIND_API_KEY_FILE: text(undefined),
  SEGMIND_BASE_URL: url(['http:', 'https:'], 'https://api.segmind.com'),
  SEGMIND_RPM: integer(1, 100_000, 60),
  SEGMIND_CONCURRENCY: integer(1, 1000, 20),
  WORKER_CONCURRENCY: integer(1, 1000, undefined),
  SEGMIND_TIMEOUT_MS: integer(1000, 3_600_000, 180_000),
  RENDER_ATTEMPTS: integer(1, 100, 5),
  RENDER_BACKOFF_MS: integer(1, 600_000, 2000),
  UNCERTAIN_RETRIES: integer(0, 100, 1),
  MAX_IMAGE_BYTES: integer(1024, 1_073_741_824, 33_554_432),
  CREDIT_FLOOR: decimal(0, 999_999, 0),
  CREDIT_LOW: decimal(0, 999_999, 1),
  CREDIT_RESUME: decimal(0, 999_999, undefined),
  CREDIT_ESTIMATE: decimal(0.000001, 1000, 0.02),
  CREDIT_PROBE_MS: integer(100, 86_400_000, 60_000),
  FEED_WINDOW: integer(1, 10_000, undefined),
  MAX_WAITING_JOBS: integer(1, 10_000_000, 100_000),
  RETENTION_HOURS: integer(1, 87_600, 168),
  WEBHOOK_SECRET: webhookSecret(),
  WEBHOOK_SECRET_FILE: text(undefined),
  WEBHOOK_SCHEDULE_S: schedule('0,5,300,1800,7200,18000,36000,50400,72000,86400'),
  WEBHOOK_TIMEOUT_MS: integer(100, 120_000, 15_000),
  WEBHOOK_ALLOW_CIDRS: cidrs(),
  MAX_UPLOAD_BYTES: integer(1024, 1_099_511_627_776, 1_073_741_824),
  MAX_ROWS: integer(1, 100_000_000, 2_000_000),
  // The values of a row far over it must still fit into a part of the store, written as JSON.
  MAX_ROW_BYTES: integer(1024, 262_144, 65_536),
  RENDERYARD_API_KEYS: apiKeys(),
  RENDERYARD_API_KEYS_FILE: text(undefined),
  SECRET_KEY: secretKey(),
  SECRET_KEY_FILE: text(undefined),
  LOG_LEVEL: oneOf(LOG_LEVELS, 'info'),
  SHUTDOWN_DELAY_MS: integer(0, 600_000, 0),
  SHUTDOWN_GRACE_MS: integer(0, 3_600_000, 25_000),
  LOCK_MS: integer(1000, 3_600_000, 60_000),
} as const;

/** A static API key: the account it acts for, and the SHA-256 of its secret, in hex. */
export interface ApiKey {
  readonly name: string;
  readonly sha256: string;
}

export type Config = ReturnType<typeof readConfig>;

/**
 * The settings of the api and the worker, checked together.
 * @throws {SettingsError} naming everything that is wrong.
 */
export function readConfig(given: Environment) {
  const { env, problems } = readSecretFiles(given);
  const values = readAll(env, [...problems.values()]);
  const concurrency = values.SEGMIND_CONCURRENCY;
  const resume = values.CREDIT_RESUME ?? values.CREDIT_LOW;
  return {
    ...values,
    WORKER_CONCURRENCY: values.WORKER_CONCURRENCY ?? concurrency,
    FEED_WINDOW: values.FEED_WINDOW ?? 2 * concurrency,
    CREDIT_RESUME: resume,
    PUBLIC_URL: (
      values.PUBLIC_URL ?? `http://${values.HOST.includes(':') ? `[${values.HOST}]` : values.HOST}:${values.PORT}`
    ).replace(/\/+$/, ''),
    SEGMIND_BASE_URL: values.SEGMIND_BASE_URL.replace(/\/+$/, ''),
    /** Where the AWS SDK looks for the bucket, which reads these two itself; undefined for AWS. */
    S3_ENDPOINT: env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL || undefined,
    floor: nanocredits(values.CREDIT_FLOOR) satisfies Nanocredits,
    low: nanocredits(values.CREDIT_LOW) satisfies Nanocredits,
    resume: nanocredits(resume) satisfies Nanocredits,
  };
}

/**
 * @param found what is wrong already.
 * @throws {SettingsError} also when the upstream's key is given twice: which of the two is meant, nobody can know.
 */
function readAll(env: Environment, found: readonly string[]) {
  const problems = [...found];
  if (isSet(env.SEGMIND_API_KEY) && isSet(env.SEGMIND_API_KEY_FILE))
    problems.push(
      'SEGMIND_API_KEY and SEGMIND_API_KEY_FILE are both set. Set one: the key, or the file that holds it.',
    );
  try {
    const values = readSettings(env, SETTINGS);
    if (problems.length === 0) return values;
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    problems.push(...error.problems);
  }
  throw new SettingsError(problems);
}

const isSet = (value: string | undefined) => (value ?? '').trim() !== '';

/** Redis in the forms of `parseRedisUrl`. It has no default here: `npm start` brings its own. */
function redisUrl(): Setting<string | undefined> {
  return {
    expects: REDIS_URL_FORMS,
    fallback: undefined,
    parse: (value) => (parseRedisUrl(value) === undefined ? undefined : value),
  };
}

/** What can go into a header as it is (RFC 9110, 5.5), and has no spaces: those come with a key that was copied badly. */
function headerWord(max: number): Setting<string | undefined> {
  return {
    expects: `at most ${max} visible ASCII characters, without spaces`,
    fallback: undefined,
    parse: (value) => (value.length <= max && /^[\x21-\x7e]+$/.test(value) ? value : undefined),
  };
}

function name(fallback: string): Setting<string> {
  return {
    expects: 'a name of 1 to 40 letters, digits, - and _',
    fallback,
    parse: (value) => (/^[A-Za-z0-9_-]{1,40}$/.test(value) ? value : undefined),
  };
}

function apiKeys(): Setting<readonly ApiKey[]> {
  return {
    expects:
      'a comma-separated list of name:secret or name:sha256:hex, each name once (1 to 40 letters, digits, - and _), no secret beginning with sha256: unless 64 hex digits follow',
    fallback: [],
    parse: (list) => {
      const keys = list.split(',').map((entry) => parseApiKey(entry.trim()));
      const names = new Set(keys.map((key) => key?.name));
      return keys.every((key) => key !== undefined) && names.size === keys.length ? keys : undefined;
    },
  };
}

function parseApiKey(entry: string): ApiKey | undefined {
  const match = /^([A-Za-z0-9_-]{1,40}):(?:sha256:([0-9a-fA-F]{64})|((?!sha256:).{1,512}))$/.exec(entry);
  if (match === null) return undefined;
  const [, name = '', hash, secret = ''] = match;
  return { name, sha256: hash?.toLowerCase() ?? createHash('sha256').update(secret).digest('hex') };
}

function secretKey(): Setting<Buffer | undefined> {
  return {
    expects: '32 bytes in base64, as `openssl rand -base64 32` prints them',
    fallback: undefined,
    parse: (value) => {
      const bytes = Buffer.from(value, 'base64');
      return bytes.length === 32 ? bytes : undefined;
    },
  };
}

/** Of the form that Standard Webhooks asks for, with its bounds: https://www.standardwebhooks.com, “Signature scheme”. */
function webhookSecret(): Setting<string | undefined> {
  return {
    expects: 'whsec_ and 24 to 64 bytes in base64, as `echo whsec_$(openssl rand -base64 32)` prints them',
    fallback: undefined,
    parse: (value) => {
      const encoded = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(value)?.[1];
      const { length } = Buffer.from(encoded ?? '', 'base64');
      return encoded !== undefined && encoded.length % 4 === 0 && length >= 24 && length <= 64 ? value : undefined;
    },
  };
}

/** Waits before each attempt, in seconds. */
function schedule(fallback: string): Setting<readonly number[]> {
  const parse = (list: string) => {
    const waits = list.split(',').map((wait) => (/^\s*\d{1,7}\s*$/.test(wait) ? Number(wait) : -1));
    return waits.length <= 20 && waits.every((wait) => wait >= 0 && wait <= 604_800) ? waits : undefined;
  };
  return {
    expects:
      'a comma-separated list of 1 to 20 whole numbers of seconds from 0 to 604800, the wait before each attempt',
    fallback: parse(fallback) ?? [],
    parse,
  };
}

function cidrs(): Setting<readonly Cidr[]> {
  return {
    expects: 'a comma-separated list of networks such as 10.0.0.0/8 or fd00::/8',
    fallback: [],
    parse: parseCidrs,
  };
}

/** @throws {SettingsError} when Redis is not given, in words for a process that cannot bring its own. */
export function requireRedisUrl(config: Config): string {
  if (config.REDIS_URL !== undefined) return config.REDIS_URL;
  throw new SettingsError(['REDIS_URL must be set: this process does not bring its own Redis, `npm start` does.']);
}
