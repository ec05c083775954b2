import { readFile } from 'node:fs/promises';
import {
  decimal,
  type Environment,
  flag,
  integer,
  readSettings,
  type Setting,
  SettingsError,
  text,
} from '@renderyard/shared/settings';
import { parseCredits } from './credits.ts';
import { type FaultRule, parseFaultRules } from './fault-rules.ts';
import { DEFAULT_BALANCE, DEFAULT_LOG_ENTRIES, DEFAULT_MODEL, DEFAULT_PRICE } from './options.ts';

/** An exact amount of credits, which stays the text that it is. */
function credits<F extends string | undefined>(fallback: F): Setting<string | F> {
  return {
    expects: 'a plain decimal number of credits with at most ten decimals, such as 10 or 0.0138',
    fallback,
    parse: (value) => {
      try {
        return parseCredits(value) >= 0n ? value : undefined;
      } catch {
        return undefined;
      }
    },
  };
}

/** Words with commas between them. */
function list<F extends readonly string[] | undefined>(fallback: F): Setting<readonly string[] | F> {
  return {
    expects: 'words with commas between them',
    fallback,
    parse: (value) => {
      const words = value.split(',').map((word) => word.trim());
      return words.every((word) => /^[\x21-\x7e]{1,300}$/.test(word)) ? words : undefined;
    },
  };
}

/** Text that is read further below, so that the reason why it is wrong can be told. */
const rules: Setting<string | undefined> = {
  expects: 'a fault rule in JSON, or a list of them',
  fallback: undefined,
  parse: (value) => value,
};

/** The simulator's settings. They are described in docs/simulator.md. */
export const SIMULATOR_SETTINGS = {
  SIMULATOR_HOST: text('127.0.0.1', 255),
  SIMULATOR_PORT: integer(0, 65_535, 8090),
  SIMULATOR_BALANCE: credits(String(DEFAULT_BALANCE)),
  SIMULATOR_FREE_CREDITS: credits('0'),
  SIMULATOR_OVERDRAFT: flag(false),
  SIMULATOR_SPEND_LIMIT: credits(undefined),
  SIMULATOR_PRICE: credits(DEFAULT_PRICE),
  SIMULATOR_PRICE_NOISE: decimal(0, 0.9, 0),
  SIMULATOR_LATENCY_MS: integer(0, 3_600_000, 1500),
  SIMULATOR_LATENCY_P95_MS: integer(0, 3_600_000, undefined),
  SIMULATOR_COLD_START_MS: integer(0, 3_600_000, 0),
  SIMULATOR_COLD_AFTER_MS: integer(0, 86_400_000, 300_000),
  SIMULATOR_RATE_LIMIT: integer(1, 1_000_000, undefined),
  SIMULATOR_KEYS: list(undefined),
  SIMULATOR_MODELS: list([DEFAULT_MODEL]),
  SIMULATOR_RETIRED_MODELS: list([]),
  SIMULATOR_FAULTS: rules,
  SIMULATOR_FAULTS_FILE: text(undefined),
  SIMULATOR_SEED: integer(0, 2_147_483_647, 1),
  SIMULATOR_LOG_ENTRIES: integer(1, 10_000_000, DEFAULT_LOG_ENTRIES),
  SIMULATOR_LOG_MIB: integer(1, 16_384, 256),
  SIMULATOR_CONTROL: flag(true),
} as const;

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** @throws {SettingsError} when the text holds no fault rules. */
function rulesOf(where: string, content: string): readonly FaultRule[] {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (error) {
    throw new SettingsError([`${where} must be JSON, as docs/simulator.md describes: ${reasonOf(error)}.`]);
  }
  try {
    return parseFaultRules(value);
  } catch (error) {
    throw new SettingsError([`${where} cannot be used. ${reasonOf(error)}`]);
  }
}

/** @throws {SettingsError} when the file cannot be read or holds no fault rules. */
async function filedRulesOf(name: string, file: string): Promise<readonly FaultRule[]> {
  let content: string;
  try {
    content = await readFile(file, 'utf8');
  } catch (error) {
    throw new SettingsError([`${name} must name a file that can be read: ${reasonOf(error)}.`]);
  }
  return rulesOf(`${name}, the file ${file},`, content);
}

/**
 * Reads the fault rules that the environment has, and after them those of the file that it names.
 * @throws {SettingsError} saying what is wrong with either, or with both.
 */
export async function readFaultSettings(env: Environment): Promise<readonly FaultRule[]> {
  const { SIMULATOR_FAULTS, SIMULATOR_FAULTS_FILE } = SIMULATOR_SETTINGS;
  const given = readSettings(env, { SIMULATOR_FAULTS, SIMULATOR_FAULTS_FILE });
  const inline = async () =>
    given.SIMULATOR_FAULTS === undefined ? [] : rulesOf('SIMULATOR_FAULTS', given.SIMULATOR_FAULTS);
  const filed = async () =>
    given.SIMULATOR_FAULTS_FILE === undefined ? [] : filedRulesOf('SIMULATOR_FAULTS_FILE', given.SIMULATOR_FAULTS_FILE);
  return (await allOf([inline(), filed()])).flat();
}

/** What all of them read. @throws {SettingsError} with the problems of every one that found some. */
export async function allOf<T extends readonly unknown[]>(
  readings: {
    readonly [K in keyof T]: Promise<T[K]>;
  },
): Promise<T> {
  const problems: string[] = [];
  for (const result of await Promise.allSettled(readings)) {
    if (result.status === 'fulfilled') continue;
    if (!(result.reason instanceof SettingsError)) throw result.reason;
    problems.push(...result.reason.problems);
  }
  if (problems.length > 0) throw new SettingsError([...new Set(problems)]);
  return (await Promise.all(readings)) as unknown as T;
}
