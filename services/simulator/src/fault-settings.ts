import { readFile } from 'node:fs/promises';
import { type Environment, readSettings, SettingsError } from '@renderyard/shared/settings';
import { type FaultRule, parseFaultRules } from './fault-rules.ts';
import { SIMULATOR_SETTINGS } from './settings.ts';

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
