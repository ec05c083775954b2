import { createLifecycle } from '@renderyard/shared/lifecycle';
import { createLogger, LOG_LEVELS } from '@renderyard/shared/logger';
import { oneOf, readSettings } from '@renderyard/shared/settings';
import { allOf, readFaultSettings } from './fault-settings.ts';
import { SIMULATOR_SETTINGS } from './settings.ts';
import { type Simulator, startSimulator } from './simulator.ts';

async function run(): Promise<void> {
  const { env } = process;
  const [settings, faults] = await allOf([
    (async () => readSettings(env, { ...SIMULATOR_SETTINGS, LOG_LEVEL: oneOf(LOG_LEVELS, 'info') }))(),
    readFaultSettings(env),
  ]);
  const logger = createLogger({
    service: 'simulator',
    level: settings.LOG_LEVEL,
    secrets: settings.SIMULATOR_KEYS ?? [],
  });
  let simulator: Simulator | undefined;
  createLifecycle({
    logger,
    process,
    phases: () => [{ name: 'close', deadlineMs: 5_000, stop: () => simulator?.close() }],
  });
  simulator = await startSimulator(
    {
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
    },
    logger,
  );
  logger.info({ url: simulator.url }, 'the simulator listens');
  process.send?.({ ready: true, url: simulator.url });
}

run().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
