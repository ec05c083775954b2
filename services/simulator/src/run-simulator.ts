import { createLogger, LOG_LEVELS } from '@renderyard/shared/logger';
import { runService } from '@renderyard/shared/run-service';
import { type Environment, oneOf, readSettings } from '@renderyard/shared/settings';
import { allOf, readFaultSettings } from './fault-settings.ts';
import { SIMULATOR_SETTINGS } from './settings.ts';
import { startSimulator } from './simulator.ts';

/** This process as a simulator; see {@link runService}. */
export function runSimulator({
  env,
  handOver,
}: {
  readonly env: Environment;
  readonly handOver: () => void;
}): Promise<void> {
  return runService({ name: 'The simulator', portSetting: 'SIMULATOR_PORT', prepare: () => prepare(env), handOver });
}

async function prepare(env: Environment) {
  const [settings, faults] = await allOf([
    (async () => readSettings(env, { ...SIMULATOR_SETTINGS, LOG_LEVEL: oneOf(LOG_LEVELS, 'info') }))(),
    readFaultSettings(env),
  ]);
  const logger = createLogger({
    service: 'simulator',
    level: settings.LOG_LEVEL,
    secrets: settings.SIMULATOR_KEYS ?? [],
  });
  const options = {
    host: settings.SIMULATOR_HOST,
    port: settings.SIMULATOR_PORT,
    balance: settings.SIMULATOR_BALANCE,
    freeCredits: settings.SIMULATOR_FREE_CREDITS,
    overdraft: settings.SIMULATOR_OVERDRAFT,
    spendLimit: settings.SIMULATOR_SPEND_LIMIT,
    price: settings.SIMULATOR_PRICE,
    priceNoise: settings.SIMULATOR_PRICE_NOISE,
    latencyMs: settings.SIMULATOR_LATENCY_MS,
    latencyP95Ms: settings.SIMULATOR_LATENCY_P95_MS,
    coldStartMs: settings.SIMULATOR_COLD_START_MS,
    coldAfterMs: settings.SIMULATOR_COLD_AFTER_MS,
    rateLimit: settings.SIMULATOR_RATE_LIMIT,
    keys: settings.SIMULATOR_KEYS,
    models: settings.SIMULATOR_MODELS,
    retiredModels: settings.SIMULATOR_RETIRED_MODELS,
    faults,
    seed: settings.SIMULATOR_SEED,
    logEntries: settings.SIMULATOR_LOG_ENTRIES,
    logBytes: settings.SIMULATOR_LOG_MIB * 1024 * 1024,
    control: settings.SIMULATOR_CONTROL,
  };
  return {
    logger,
    start: async () => {
      const simulator = await startSimulator(options, logger);
      return { ...simulator, phases: () => [{ name: 'close', deadlineMs: 5_000, stop: () => simulator.close() }] };
    },
    started: ({ url }: { readonly url: string }) => logger.info({ url }, 'the simulator listens'),
  };
}
