import { createLogger, LOG_LEVELS } from '@renderyard/shared/logger';
import { type Environment, oneOf, readSettings } from '@renderyard/shared/settings';
import { startStoppable } from '@renderyard/shared/start-stoppable';
import { allOf, readFaultSettings } from './fault-settings.ts';
import { SIMULATOR_SETTINGS } from './settings.ts';
import { startSimulator } from './simulator.ts';

/**
 * This process as a simulator. Resolves when it runs, or was told to stop before; one that cannot start ends with code 1.
 * @param handOver called once the signals that end a process are handled here.
 */
export async function runSimulator({
  env,
  handOver,
}: {
  readonly env: Environment;
  readonly handOver: () => void;
}): Promise<void> {
  try {
    await start(env, handOver);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}

async function start(env: Environment, handOver: () => void): Promise<void> {
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
  const starting = startStoppable({
    start: async () => {
      const simulator = await startSimulator(options, logger);
      return { ...simulator, phases: () => [{ name: 'close', deadlineMs: 5_000, stop: () => simulator.close() }] };
    },
    logger,
    process,
  });
  handOver();
  const simulator = await starting;
  if (simulator === undefined) return;
  logger.info({ url: simulator.url }, 'the simulator listens');
  process.send?.({ ready: true, url: simulator.url });
}
