import { systemClock } from '@renderyard/shared/clock';
import { type Environment, readSettings, SettingsError } from '@renderyard/shared/settings';
import { allOf, readFaultSettings } from '@renderyard/simulator/fault-settings';
import { createLatency } from '@renderyard/simulator/latency';
import { SIMULATOR_SETTINGS } from '@renderyard/simulator/settings';
import { readStandaloneSettings, type StandaloneSettings, usesSimulator } from './standalone-settings.ts';

/**
 * Reads the settings of all that will be started, by their own rules, so that what is wrong is told before anything is.
 * @throws {SettingsError} naming everything that is wrong, of all services at once.
 */
export async function readAllSettings(env: Environment): Promise<StandaloneSettings> {
  const [settings] = await allOf([
    (async () => readStandaloneSettings(env))(),
    ...(usesSimulator(env) ? [checkSimulator(env), readFaultSettings(env)] : []),
  ]);
  return settings;
}

async function checkSimulator(env: Environment): Promise<void> {
  const settings = readSettings(env, SIMULATOR_SETTINGS);
  try {
    createLatency({
      medianMs: settings.SIMULATOR_LATENCY_MS,
      p95Ms: settings.SIMULATOR_LATENCY_P95_MS,
      coldStartMs: settings.SIMULATOR_COLD_START_MS,
      coldAfterMs: settings.SIMULATOR_COLD_AFTER_MS,
      seed: settings.SIMULATOR_SEED,
      clock: systemClock,
    });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new SettingsError([error.message]);
  }
}
