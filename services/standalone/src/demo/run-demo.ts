import { systemClock } from '@renderyard/shared/clock';
import type { Environment } from '@renderyard/shared/settings';
import { runStandalone } from '../run-standalone.ts';
import type { ServiceFiles } from '../standalone.ts';
import { usesSimulator } from '../standalone-settings.ts';
import { askYesNo } from './ask.ts';
import { type DemoArguments, parseDemoArguments, USAGE } from './demo-arguments.ts';
import { DemoError } from './demo-error.ts';
import { DEMO_PATH } from './demo-file.ts';
import { findDemoKey } from './demo-key.ts';
import { createDemoTask } from './demo-task.ts';
import { createLiveTerminal } from './live-terminal.ts';

/** Of a command line that cannot be understood, as other programs have it. */
const MISUSED = 2;

/** Starts all of Renderyard and renders the example. It ends as {@link runStandalone} does. */
export async function runDemo(options: {
  readonly args: readonly string[];
  readonly env: Environment;
  readonly files: ServiceFiles;
  readonly process: Pick<NodeJS.Process, 'stdin' | 'stdout' | 'stderr'> & {
    exitCode?: number | string | null | undefined;
  };
}): Promise<void> {
  const { env, files, process } = options;
  const { stdin, stdout } = process;
  const terminal = createLiveTerminal(process, env);
  const refuse = (why: string, exitCode: number) => {
    terminal.warn(why);
    process.exitCode = exitCode;
  };
  let args: DemoArguments;
  let key: string | undefined;
  try {
    args = parseDemoArguments(options.args);
    key = findDemoKey(env);
  } catch (error) {
    if (error instanceof DemoError) return refuse(error.message, 1);
    if (error instanceof TypeError) return refuse(`${error.message}\n\n${USAGE}`, MISUSED);
    throw error;
  }
  if (args.help) return terminal.say(USAGE);
  if (!usesSimulator(env) && !args.yes && !stdin.isTTY)
    return refuse(
      'SEGMIND_API_KEY or SEGMIND_API_KEY_FILE is set, so the demo would spend credits, and there is nobody to ask. Say --yes to spend them, or leave the key out to use the simulator.',
      MISUSED,
    );
  const ask = (question: string, signal: AbortSignal) => askYesNo(question, { stdin, stdout, signal });
  const task = createDemoTask({ args, key, csvFile: DEMO_PATH, terminal, clock: systemClock, ask });
  await runStandalone({ env, files, terminal, task });
}
