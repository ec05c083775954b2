import { systemClock } from '@renderyard/shared/clock';
import { SETTINGS } from '@renderyard/shared/config';
import { type Environment, readSettings, SettingsError } from '@renderyard/shared/settings';
import { readKeyFile } from '@renderyard/shared/upstream-key-file';
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
    ...(usesSimulator(env) ? [checkSimulator(env), readFaultSettings(env)] : [checkKeyFile(env)]),
  ]);
  return settings;
}

/** The worker would find it as well, but only once Redis runs. */
async function checkKeyFile(env: Environment): Promise<void> {
  const { SEGMIND_API_KEY_FILE } = SETTINGS;
  const file = readSettings(env, { SEGMIND_API_KEY_FILE }).SEGMIND_API_KEY_FILE;
  const content = file === undefined ? undefined : await readKeyFile(file);
  if (content !== undefined && 'problem' in content) throw new SettingsError([content.problem]);
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
