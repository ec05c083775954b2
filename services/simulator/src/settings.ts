import { decimal, flag, host, integer, type Setting, text } from '@renderyard/shared/settings';
import { parseCredits } from './credits.ts';
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

/** Text that `readFaultSettings` reads further, so that the reason why it is wrong can be told. */
const rules: Setting<string | undefined> = {
  expects: 'a fault rule in JSON, or a list of them',
  fallback: undefined,
  parse: (value) => value,
};

/** The simulator's settings. They are described in docs/simulator.md. */
export const SIMULATOR_SETTINGS = {
  SIMULATOR_HOST: host('127.0.0.1'),
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
