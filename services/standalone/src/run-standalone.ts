import { join, resolve } from 'node:path';
import { systemClock } from '@renderyard/shared/clock';
import { explainDataDir } from '@renderyard/shared/data-dir';
import { createLifecycle } from '@renderyard/shared/lifecycle';
import { createLogger } from '@renderyard/shared/logger';
import { type Environment, SettingsError } from '@renderyard/shared/settings';
import { readAllSettings } from './all-settings.ts';
import { prepareDataDir } from './data-dir.ts';
import { greet } from './greeting.ts';
import { createLogRelay, type LogRelay } from './log-relay.ts';
import { createStandalone, type ServiceFiles } from './standalone.ts';
import type { StandaloneSettings } from './standalone-settings.ts';
import type { Terminal } from './terminal.ts';

/** All of it, as it runs. */
export interface RunningStandalone {
  readonly url: string;
  readonly settings: StandaloneSettings;
  /** Absolute. */
  readonly dataDir: string;
  /** Aborts as soon as it begins to stop. */
  readonly signal: AbortSignal;
}

/** Something to do once all of it runs. */
export interface Task {
  /** @returns the code with which all of it is then to end; undefined to stay up. What it throws ends all, with code 1. */
  run(running: RunningStandalone): Promise<number | undefined>;
  /** The code of an end, as by Ctrl-C, before the task has ended. */
  readonly interrupted: number;
}

/** What a person is told of an error: errors that we name explain themselves, of others the place matters. */
function explain(error: unknown, dataDir: string): string {
  if (!(error instanceof Error)) return String(error);
  const aboutData = explainDataDir(dataDir, error);
  if (aboutData !== undefined) return aboutData;
  return error.constructor === Error || error instanceof TypeError ? (error.stack ?? error.message) : error.message;
}

/** What can be seen to be wrong before anything runs; it is told, and the answer is undefined. */
async function prepareOrExplain(env: Environment, { warn }: Terminal): Promise<Prepared | undefined> {
  let dataDir = '';
  try {
    const settings = await readAllSettings(env);
    dataDir = resolve(settings.dataDir);
    await prepareDataDir(dataDir);
    const logs = createLogRelay(join(dataDir, 'logs'), warn);
    return { settings, dataDir, logs, toFile: logs.fileOf('standalone') };
  } catch (error) {
    warn(error instanceof SettingsError ? error.message : explain(error, dataDir));
    return undefined;
  }
}

interface Prepared {
  readonly settings: StandaloneSettings;
  /** Absolute. */
  readonly dataDir: string;
  readonly logs: LogRelay;
  /** Our own log. */
  readonly toFile: (line: string) => void;
}

/**
 * The all-in-one process, from its settings to its end. It resolves when all of it runs and the task, if there is one,
 * has ended, or when it cannot start; the process then ends by itself, with code 1.
 */
export async function runStandalone({
  env,
  files,
  terminal,
  task,
}: {
  readonly env: Environment;
  readonly files: ServiceFiles;
  readonly terminal: Terminal;
  readonly task?: Task;
}): Promise<void> {
  const { say, warn } = terminal;
  const prepared = await prepareOrExplain(env, terminal);
  if (prepared === undefined) {
    process.exitCode = 1;
    return;
  }
  const { settings, dataDir, logs, toFile } = prepared;
  const logger = createLogger({
    service: 'standalone',
    level: 'info',
    secrets: [env.SEGMIND_API_KEY],
    destination: { write: (line) => toFile(line.trimEnd()) },
  });
  const notice = (text: string) => {
    logger.info(text);
    warn(text);
  };
  const standalone = createStandalone({ settings, env, files, logs, clock: systemClock, notice });
  const stopping = new AbortController();
  let stage: 'starting' | 'runs' | 'did not start' = 'starting';
  let exitCode = task?.interrupted ?? 0;
  const lifecycle = createLifecycle({
    logger,
    phases: () => {
      stopping.abort();
      if (stage === 'runs') say('Stopping: what is being rendered is finished first. Ctrl-C again ends at once.');
      else if (stage === 'starting') say('Stopping. Ctrl-C again ends at once.');
      return standalone.phases();
    },
    process: {
      on: process.on.bind(process),
      exit: (code) => {
        if (code !== 0) standalone.kill();
        logs.close();
        process.exit(code === 0 ? exitCode : code);
      },
    },
  });
  // npm hands on the signals that it gets, but one that is killed hands on nothing: its child is then adopted.
  const parent = process.ppid;
  const orphaned = setInterval(() => {
    if (process.ppid !== parent) void lifecycle.stop('npm is gone').then(() => process.exit(exitCode));
  }, 1000);
  if (env.npm_lifecycle_event === undefined) clearInterval(orphaned);
  orphaned.unref();
  process.on('SIGHUP', () => process.kill(process.pid, 'SIGTERM'));
  const fail = async (error: unknown) => {
    logger.error({ err: error }, 'ends');
    warn(`\n${explain(error, dataDir)}`);
    await lifecycle.stop('failed');
    logs.close();
    process.exit(1);
  };
  void standalone.gaveUp.then(fail);
  try {
    const { url } = await standalone.start();
    if (lifecycle.stopping) return;
    stage = 'runs';
    say(greet({ url, dataDir, simulate: settings.simulate, needsKey: settings.needsKey }));
    process.send?.({ ready: true, url });
    if (task === undefined) return;
    const end = await task.run({ url, settings, dataDir, signal: stopping.signal });
    if (lifecycle.stopping) return;
    exitCode = end ?? 0;
    if (end !== undefined) {
      await lifecycle.stop('the task has ended');
      logs.close();
      process.exit(end);
    }
  } catch (error) {
    // Told to stop while it started: the lifecycle sees to the end.
    if (lifecycle.stopping) return;
    stage = 'did not start';
    await fail(error);
  }
}
